"""Costs of whole days are summed up ahead: the same as a scan over the rows, and kept longer."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from datetime import UTC, datetime
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.history.rows import NOW_S, add, fold, new_log, record

from headway.store import cost_days
from headway.store.cost_days import DAY_S
from headway.store.costs import ALL, Chosen, summed
from headway.store.history.retention import Retention
from headway.store.request_record import RequestRecord

MIDNIGHT_S = NOW_S // DAY_S * DAY_S
MOMENTS = st.sampled_from(
    [MIDNIGHT_S + days * DAY_S + seconds for days in range(-4, 3) for seconds in (-1, 0, 3600)]
)
RECORDS = st.builds(
    record,
    st.just(0),
    arrival_unix_s=MOMENTS,
    tenant=st.sampled_from(["acme", "öko"]),
    key=st.sampled_from(["", "k"]),
    model=st.sampled_from(["smol", "big"]),
    program=st.sampled_from(["", "run-1"]),
    outcome=st.sampled_from(["finished", "failed", "rejected"]),
    prompt_tokens=st.none() | st.integers(0, 1000),
    charged_tokens=st.none() | st.integers(0, 1000),
    cost=st.none() | st.integers(0, 1000).map(lambda n: n / 1024),
)
BY = ([], ["day"], ["tenant"], ["day", "model"], ["run"], ["run", "model"], ["key", "batch"])
COLUMNS = {"run": "program"}
CHOSEN = st.builds(
    Chosen,
    since_s=st.just(0.0) | MOMENTS,
    until_s=st.just(inf) | MOMENTS,
    tenant=st.none() | st.just("acme"),
    key=st.none() | st.just("k"),
    run=st.none() | st.just("run-1"),
)


def scanned(rows: list[RequestRecord], by: list[str], chosen: Chosen) -> dict[Any, Any]:
    """Requests, prompt tokens, cost and what has no price, by a scan over all rows."""
    groups = defaultdict(list)
    for row in rows:
        mine = chosen.tenant in (None, row.tenant) or (chosen.key or None) == row.key
        of_run = chosen.run in (None, row.program)
        counts = row.outcome != "rejected" and mine and of_run
        if counts and chosen.since_s <= row.arrival_unix_s < chosen.until_s:
            groups[tuple(named(row, name) for name in by)].append(row)
    return {group: sums_of(of) for group, of in groups.items()}


def named(row: RequestRecord, name: str) -> str:
    if name == "day":
        return str(datetime.fromtimestamp(row.arrival_unix_s, UTC).date())
    return str(getattr(row, COLUMNS.get(name, name)))


def sums_of(rows: list[RequestRecord]) -> tuple[Any, ...]:
    known = [row.cost for row in rows if row.cost is not None]
    without = [row for row in rows if row.cost is None and tokens_of(row) > 0]
    prompt = sum(row.prompt_tokens or 0 for row in rows)
    return len(rows), prompt, sum(known) if known else None, len(without)


def tokens_of(row: RequestRecord) -> int:
    if row.charged_tokens is not None:
        return row.charged_tokens
    return (row.prompt_tokens or 0) + (row.output_tokens or 0)


def found(database: sqlite3.Connection, by: list[str], chosen: Chosen) -> dict[Any, Any]:
    groups = summed(database, by, chosen).groups
    return {
        one.group: (one.requests, one.prompt_tokens, one.cost, one.unpriced)
        for one in groups
        if one.requests
    }


@given(st.lists(RECORDS, max_size=12), st.lists(RECORDS, max_size=4), st.sampled_from(BY), CHOSEN)
def test_sums_are_what_a_scan_over_all_rows_finds(
    before: list[RequestRecord], after: list[RequestRecord], by: list[str], chosen: Chosen
) -> None:
    database = new_log()
    add(database, before)
    while cost_days.advance(database, most=5):
        pass
    add(database, after)
    rows = [*before, *after]
    assert found(database, by, chosen) == scanned(rows, by, chosen)
    without = [
        row for row in rows if row.cost is None and tokens_of(row) and row.outcome != "rejected"
    ]
    assert sum(one.tokens for one in summed(database, []).unpriced) == sum(map(tokens_of, without))


def test_a_log_from_before_is_summed_up_a_piece_at_a_time() -> None:
    database = new_log()
    add(database, [record(number) for number in range(10)])
    assert cost_days.advance(database, most=4)
    assert cost_days.advance(database, most=4)
    assert not cost_days.advance(database, most=4)
    assert cost_days.summed_to(database) == 10
    assert summed(database, []).groups[0].requests == 10


def days_ago(*days: float, **changes: Any) -> list[RequestRecord]:
    return [record(0, arrival_unix_s=MIDNIGHT_S - one * DAY_S, **changes) for one in days]


def test_costs_outlive_their_rows_by_whole_days() -> None:
    database = new_log()
    add(database, days_ago(9.75, 9.25, 8.5, 0.5, program="r", cost=1.0))
    fold(database)
    while Retention(keep_s=5 * DAY_S).trim(database, MIDNIGHT_S):
        pass
    assert database.execute("SELECT count(*) FROM requests").fetchone() == (1,)
    assert summed(database, [], ALL).groups[0].cost == 4.0
    asked = Chosen(since_s=MIDNIGHT_S - 9.5 * DAY_S)
    answer = summed(database, ["day"], asked)
    assert answer.since_s == MIDNIGHT_S - 10 * DAY_S
    assert [one.cost for one in answer.groups] == [2.0, 1.0, 1.0]
    earlier = Chosen(since_s=MIDNIGHT_S - 9.5 * DAY_S, until_s=MIDNIGHT_S - 8.75 * DAY_S)
    assert [one.cost for one in summed(database, [], earlier).groups] == [3.0]


@pytest.mark.parametrize("by", [["run"], ["run", "model"]])
@pytest.mark.parametrize("run", [None, "r"])
def test_costs_of_runs_go_with_their_rows_and_the_answer_says_so(
    by: list[str], run: str | None
) -> None:
    database = new_log()
    add(database, days_ago(9.5, 0.5, program="r", cost=1.0))
    fold(database)
    while Retention(keep_s=5 * DAY_S).trim(database, MIDNIGHT_S):
        pass
    answer = summed(database, by, Chosen(run=run))
    assert answer.since_s == MIDNIGHT_S - DAY_S
    assert [one.cost for one in answer.groups] == [1.0]
