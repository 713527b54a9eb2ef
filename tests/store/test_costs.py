"""Costs summed up from the request log."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any

import pytest

from headway.store.costs import ALL, BatchCost, Chosen, Costs, groups_of, later, summed
from headway.store.database import open_to_read
from headway.store.request_log import RequestLog
from headway.store.request_record import RequestRecord
from headway.store.spending import Spent, spent_since


def at(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


def row(day: int, cost: float | None, **more: Any) -> RequestRecord:
    fields: dict[str, Any] = {
        "id": "r",
        "arrival_unix_s": at(f"2026-11-{day:02}T10:00:00"),
        "tier": "standard",
        "model": "m",
        "prompt_tokens": 100,
        "cached_tokens": 40,
        "output_tokens": 10,
        "charged_tokens": 110,
        "outcome": "finished",
        "status": 200,
        "cost": cost,
    }
    return RequestRecord(**(fields | more))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log = RequestLog(tmp_path / "requests.db")
    log.write(row(1, 1.0, key="a", tenant="x"))
    log.write(row(2, 0.5, key="b", tenant="x", batch="batch-1"))
    log.write(row(2, 2.0, key="a", tenant="y", outcome="failed", batch="batch-1"))
    log.write(row(2, None, key="b", tenant="x", model="n", backend="gpu", batch="batch-2"))
    log.write(
        row(2, None, outcome="rejected", charged_tokens=None, output_tokens=None)
    )  # of an older version
    log.close()
    return log.path


def costs(log: Path, by: list[str], chosen: Chosen = ALL) -> list[Costs]:
    with closing(open_to_read(log)) as database:
        return summed(database, by, chosen).groups


def test_days_come_in_order_and_what_has_no_price_is_counted_apart(log: Path) -> None:
    assert costs(log, ["day"]) == [
        Costs(("2026-11-01",), 1, 100, 40, 10, 1.0, 0),
        Costs(("2026-11-02",), 3, 300, 120, 30, 2.5, 1),
    ]
    with closing(open_to_read(log)) as database:
        assert summed(database, []).unpriced == [("n", "gpu", 1, 110)]


def test_other_groups_come_by_their_cost(log: Path) -> None:
    assert [(one.group, one.cost) for one in costs(log, ["key", "model"])] == [
        (("a", "m"), 3.0),
        (("b", "m"), 0.5),
        (("b", "n"), None),
    ]
    assert [(one.group, one.cost) for one in costs(log, [])] == [((), 3.5)]


def test_beyond_a_limit_groups_are_counted_and_the_total_is_of_all(log: Path) -> None:
    with closing(open_to_read(log)) as database:
        whole, few = summed(database, ["key"]), summed(database, ["key"], limit=1)
        assert (few.groups, few.left_out) == (whole.groups[:1], 1)
        assert few.total == whole.total == costs(log, [])[0]
        nobody = summed(database, ["day"], Chosen(tenant="nobody"))
        assert (nobody.groups, nobody.left_out, nobody.total.requests) == ([], 0, 0)


def test_only_some_requests_count(log: Path) -> None:
    second = at("2026-11-02T00:00:00")
    assert costs(log, [], Chosen(since_s=second))[0].cost == 2.5
    assert costs(log, [], Chosen(until_s=second))[0].cost == 1.0
    assert costs(log, [], Chosen(tenant="x"))[0].cost == 1.5
    assert costs(log, [], Chosen(tenant="x", key="a"))[0].cost == 3.5
    assert costs(log, [], Chosen(tenant="nobody")) == [Costs((), 0, 0, 0, 0, None, 0)]


def test_the_cost_of_a_batch_includes_failures_and_goes_on_from_where_it_was(log: Path) -> None:
    def more_of(cost: BatchCost, batch: str) -> BatchCost:
        return later(log, {batch: cost})[batch]

    first = more_of(BatchCost(), "batch-1")
    assert (first.cost, first.unpriced) == (2.5, 0)
    assert more_of(first, "batch-1") == first
    more = RequestLog(log)
    more.write(row(3, 0.25, batch="batch-1"))
    more.write(row(3, None, batch="batch-1"))
    more.close()
    second = more_of(first, "batch-1")
    assert (second.cost, second.unpriced) == (2.75, 1)
    assert second.answered == first.answered + 2
    assert more_of(BatchCost(), "batch-2")[1:3] == (None, 1)
    assert more_of(BatchCost(), "") == BatchCost()


def test_what_was_spent_today_and_earlier_in_the_month(log: Path) -> None:
    day, month = at("2026-11-02T00:00:00"), at("2026-11-01T00:00:00")
    spent = spent_since(log, day, month, inf)
    assert Spent("a", "x", False, False, 110, 1.0) in spent
    assert Spent("a", "y", True, True, 110, 2.0) in spent
    assert Spent("b", "x", True, True, 220, 0.5) in spent
    december = at("2026-12-01T00:00:00")
    assert spent_since(log, december, december, inf) == []
    assert not any(one.today for one in spent_since(log, day, month, day))


def test_groups_are_named_with_commas_between() -> None:
    assert groups_of("day, model,day") == ["day", "model"]
    assert groups_of("") == []
    with pytest.raises(ValueError, match="'colour' is not one of day, month"):
        groups_of("day,colour")
