"""Who went before a request while it waited."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.history.rows import add, new_log, record

from headway.store.history import ahead as module
from headway.store.history.ahead import Ahead, ahead
from headway.store.request_record import RequestRecord

WAITED = record(100, queue_ms=10_000.0, total_ms=12_000.0)


def found(*others: RequestRecord, one: RequestRecord = WAITED) -> Ahead | None:
    database = new_log()
    add(database, [*others, one])
    return ahead(database, one)


def counts(**changes: Any) -> Ahead:
    none = dict.fromkeys(("ran", "higher_tiers", "lower_tiers", "came_before", "came_later"), 0)
    return Ahead(**(none | {"complete": True} | changes))


def other(number: int, began_s: float, **changes: Any) -> RequestRecord:
    """A request that came at second `number`, began at `began_s` and took three seconds then."""
    queue_ms = 1000.0 * (began_s - number)
    return record(number, queue_ms=queue_ms, total_ms=queue_ms + 3000.0, **changes)


def test_those_that_began_while_it_waited_count_by_tier_and_order_of_arrival() -> None:
    assert found(
        other(90, 101),
        other(95, 109.9),
        other(101, 105),
        other(103, 104, tier="interactive"),
        other(80, 108, tier="batch"),
    ) == counts(came_before=2, came_later=1, higher_tiers=1, lower_tiers=1)


def test_those_that_ran_when_it_came_count_apart() -> None:
    assert found(other(90, 98), other(99, 99.5, tier="batch"), other(80, 90)) == counts(ran=2)


@pytest.mark.parametrize(
    "harmless",
    [
        other(90, 111),
        other(109, 110.5),
        other(90, 101, model="other", backend="elsewhere"),
        record(101, queue_ms=None),
        other(-3600, 101),
    ],
)
def test_what_began_after_it_or_elsewhere_or_never_or_is_too_old_does_not(
    harmless: RequestRecord,
) -> None:
    assert found(harmless) == counts()


def test_a_request_for_another_model_on_its_backend_and_one_for_its_model_elsewhere_count() -> None:
    assert found(other(90, 101, model="other"), other(91, 101, backend="other")) == counts(
        came_before=2
    )


def test_one_that_never_began_waited_until_its_end() -> None:
    one = record(100, queue_ms=None, total_ms=5000.0, backend="", outcome="cancelled")
    assert found(
        other(90, 104), other(91, 106), other(92, 103, model="b", backend=""), one=one
    ) == (counts(came_before=1))


@pytest.mark.parametrize("changes", [{"queue_ms": 0.0}, {"queue_ms": None, "total_ms": None}])
def test_one_that_did_not_wait_waited_for_nobody(changes: dict[str, Any]) -> None:
    assert found(one=record(100, **changes)) is None


def test_one_of_no_known_tier_is_not_compared() -> None:
    assert found(one=record(100, tier="express")) is None


def test_that_not_all_were_looked_at_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 3)
    assert found(other(90, 101), other(91, 101)) == counts(came_before=2)
    assert found(other(90, 101), other(91, 101), other(92, 101)) == (
        counts(came_before=2, complete=False)
    )
