"""Bursts of like refusals: one line, and then one for all that follow within 10 s."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headway.gateway.accounts.folding import FOLD_S, MOST_KINDS, OTHERS, Folding, Kind

ACME = Kind("'acme'", 429, "queue_full")
ZOO = Kind("'zoo'", 429, "queue_full")


def test_the_first_has_a_line_and_the_others_are_counted() -> None:
    folding = Folding()
    assert [folding.alone(ACME, at_s) for at_s in (0.0, 1.0, 2.0)] == [True, False, False]
    assert folding.due(9.9) == []
    assert folding.due(10.0) == [(ACME, 2, 10.0)]


def test_kinds_have_lines_of_their_own() -> None:
    folding = Folding()
    assert folding.alone(ACME, 0.0)
    assert folding.alone(ZOO, 0.0)
    assert folding.alone(ACME._replace(status=401), 0.0)
    assert folding.alone(ACME._replace(reason="rate_limit_exceeded"), 0.0)


def test_a_burst_that_goes_on_is_one_line_every_ten_seconds() -> None:
    folding = Folding()
    lines = sum(folding.alone(ACME, 0.1 * n) + len(folding.due(0.1 * n)) for n in range(600))
    assert lines == 6


def test_after_a_quiet_time_the_next_has_a_line_again() -> None:
    folding = Folding()
    folding.alone(ACME, 0.0)
    assert folding.due(10.0) == []
    assert folding.next_s() is None
    assert folding.alone(ACME, 11.0)


def test_with_too_many_kinds_the_rest_is_folded_by_reason() -> None:
    folding = Folding()
    kinds = [Kind(f"10.0.{n // 256}.{n % 256}", 401, "invalid_api_key") for n in range(10_000)]
    assert sum(folding.alone(kind, 0.0) for kind in kinds) == MOST_KINDS + 1
    ((kind, count, _),) = folding.due(FOLD_S)
    assert kind == Kind(OTHERS, 401, "invalid_api_key")
    assert count == len(kinds) - MOST_KINDS - 1


@given(st.lists(st.tuples(st.integers(0, 300), st.floats(0.0, 3.0)), max_size=300))
def test_every_refusal_is_in_exactly_one_line(events: list[tuple[int, float]]) -> None:
    folding, now_s, lines = Folding(), 0.0, 0
    for who, pause_s in events:
        now_s += pause_s
        lines += sum(count for _, count, _ in folding.due(now_s))
        lines += folding.alone(Kind(str(who), 429, "queue_full"), now_s)
    lines += sum(count for _, count, _ in folding.end(now_s))
    assert lines == len(events)
    assert folding.next_s() is None
