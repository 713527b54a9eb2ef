"""Figures made ahead: exact against all rows there ever were, whatever happened in between."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.store.history.rows import NOW_S, add, fold, new_log, record
from tests.store.history.test_histogram import counted

from headway.store.history import rollups
from headway.store.history.histogram import bucket_of
from headway.store.history.retention import Retention
from headway.store.history.rollups import LEVELS, MEASURES, MINUTE_S, MINUTES_KEPT_S
from headway.store.request_record import RequestRecord

DURATIONS = st.none() | st.floats(0.0, 1e7)
RECORDS = st.builds(
    record,
    st.just(0),
    # Clocks jump: rows come in any order of time, from long ago to the future.
    arrival_unix_s=st.floats(NOW_S - 20 * 86400, NOW_S + 86400),
    tenant=st.sampled_from(["", "acme", "öko"]),
    model=st.sampled_from(["smol", "big"]),
    tier=st.sampled_from(["interactive", "batch"]),
    outcome=st.sampled_from(["finished", "failed"]),
    prompt_tokens=st.none() | st.integers(0, 10_000),
    output_tokens=st.none() | st.integers(0, 10_000),
    cost=st.none() | st.integers(0, 1000).map(lambda n: n / 1024),
    queue_ms=DURATIONS,
    ttft_ms=DURATIONS,
    total_ms=DURATIONS,
)
STEPS = st.lists(
    st.lists(RECORDS, min_size=1, max_size=20) | st.sampled_from(["fold", "crash", "trim"]),
    max_size=12,
)


def kept(database: sqlite3.Connection) -> dict[tuple[object, ...], tuple[object, ...]]:
    """All rollups by level, beginning and names."""
    found = {}
    for level, began, group, *sums_and_histograms in database.execute("SELECT * FROM rollups"):
        names = database.execute(
            "SELECT tenant, model, tier, outcome FROM rollup_groups WHERE id = ?", (group,)
        ).fetchone()
        *sums, total, ttft, queue = sums_and_histograms
        histograms = [dict(counted(one)) for one in (total, ttft, queue)]
        found[(level, began, *names)] = (*sums, *histograms)
    return found


def scanned(rows: list[RequestRecord]) -> dict[tuple[object, ...], tuple[object, ...]]:
    """The same, by a scan over all rows."""
    groups = defaultdict(list)
    for row in rows:
        for level in LEVELS:
            began = int(row.arrival_unix_s // level) * level
            if level == MINUTE_S and began < NOW_S - MINUTES_KEPT_S:
                continue
            for tenant in (row.tenant, None):
                groups[level, began, tenant, row.model, row.tier, row.outcome].append(row)
                groups[level, began, tenant, None, None, None].append(row)
    return {
        names: (
            len(of),
            sum(row.prompt_tokens or 0 for row in of),
            sum(row.output_tokens or 0 for row in of),
            sum(row.cost or 0.0 for row in of),
            *(max(measured(of, measure), default=-1.0) for measure in MEASURES),
            *(dict(Counter(map(bucket_of, measured(of, measure)))) for measure in MEASURES),
        )
        for names, of in groups.items()
    }


def measured(rows: list[RequestRecord], measure: str) -> list[float]:
    return [value for row in rows if (value := getattr(row, measure)) is not None]


@given(STEPS)
@settings(deadline=None)
def test_rollups_are_what_a_scan_over_all_rows_finds(steps: list[object]) -> None:
    database = new_log()
    written: list[RequestRecord] = []
    for step in steps:
        if isinstance(step, list):
            add(database, step)
            written += step
        elif step == "fold":
            rollups.advance(database, NOW_S, most=7)
        elif step == "crash":
            with suppress(RuntimeError), database:
                database.execute("BEGIN IMMEDIATE")
                rows = database.execute(rollups.ROWS, (rollups.folded_to(database), 7)).fetchall()
                rollups._write(database, rollups.all_levels(rollups.folded(rows), NOW_S))
                raise RuntimeError("the power is gone")
        else:  # rows go; what is made of them stays
            Retention(keep_s=0.001).trim(database, NOW_S)
    fold(database)
    assert kept(database) == scanned(written)


def test_an_older_log_gets_its_rollups_a_piece_at_a_time() -> None:
    database = new_log()
    rows = [record(number) for number in range(25)]
    add(database, rows)
    pieces = 1
    while rollups.advance(database, NOW_S, most=10):
        pieces += 1
    assert pieces == 3
    assert kept(database) == scanned(rows)
    assert not rollups.advance(database, NOW_S)


@pytest.mark.parametrize(
    "damage",
    [
        "arrival_unix_s = 'noon'",
        "arrival_unix_s = 1e300",
        "output_tokens = 'many'",
        "prompt_tokens = 9223372036854775807",
        "total_ms = 'long'",
        "total_ms = 1e300",
        "queue_ms = -5.0",
        "tenant = CAST(x'ff61' AS TEXT)",
        "outcome = 7",
    ],
)
def test_a_damaged_row_harms_no_other(damage: str) -> None:
    database = new_log()
    database.text_factory = lambda text: str(text, "utf-8", "replace")
    rows = [record(number) for number in range(3)]
    add(database, rows)
    with database:
        database.execute(f"UPDATE requests SET {damage} WHERE number = 2")
    fold(database)
    assert rollups.folded_to(database) == 3
    (requests,) = database.execute(
        "SELECT sum(requests) FROM rollups JOIN rollup_groups ON id = group_id "
        "WHERE level = 3600 AND tenant = 'acme' AND model IS NOT NULL "
        "AND outcome = 'finished'"
    ).fetchone()
    assert requests >= 2
