"""Pages of requests: any filter, by a cursor, the same as a scan over all rows."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.store.history.rows import NOW_S, add, fold, new_log, record

from headway.store.history.filters import Filters
from headway.store.history.pages import Cursor, Row, page
from headway.store.history.retention import Retention
from headway.store.request_record import RequestRecord

RECORDS = st.builds(
    record,
    st.just(0),
    arrival_unix_s=st.integers(0, 12 * 24).map(lambda hours: NOW_S - hours * 3600)
    | st.floats(NOW_S - 7200, NOW_S),
    tenant=st.sampled_from(["", "acme", "öko"]),
    model=st.sampled_from(["smol", "big"]),
    tier=st.sampled_from(["interactive", "batch"]),
    outcome=st.sampled_from(["finished", "failed"]),
    key=st.sampled_from(["", "k1", "k2"]),
    program=st.sampled_from(["", "run-1", "run-2"]),
    queue_ms=st.none() | st.floats(0.0, 1000.0),
    ttft_ms=st.none() | st.floats(0.0, 1000.0),
    total_ms=st.none() | st.floats(0.0, 1000.0),
)
LEAST = st.none() | st.floats(0.0, 1000.0)
FILTERS = st.builds(
    Filters,
    since_s=st.none() | st.floats(NOW_S - 86400 * 12, NOW_S),
    until_s=st.none() | st.floats(NOW_S - 86400 * 12, NOW_S + 1),
    tenant=st.sampled_from([None, None, "acme", "", "nobody"]),
    model=st.sampled_from([None, None, "smol"]),
    tier=st.sampled_from([None, None, "batch"]),
    outcome=st.sampled_from([None, None, "failed"]),
    key=st.sampled_from([None, None, "k1"]),
    program=st.sampled_from([None, None, "run-1"]),
    total_ms=LEAST,
    ttft_ms=LEAST,
    queue_ms=LEAST,
)


def numbered(records: list[RequestRecord]) -> list[RequestRecord]:
    return [replace(one, id=f"r{number}") for number, one in enumerate(records, 1)]


def expected(records: list[RequestRecord], filters: Filters) -> list[str]:
    """Ids of the records that pass, by a scan over all of them."""

    def passes(one: RequestRecord) -> bool:
        equal = ("tenant", "model", "tier", "outcome", "key", "program")
        if any(
            wanted is not None and getattr(one, name) != wanted
            for name in equal
            for wanted in [getattr(filters, name)]
        ):
            return False
        if filters.since_s is not None and one.arrival_unix_s < filters.since_s:
            return False
        if filters.until_s is not None and one.arrival_unix_s >= filters.until_s:
            return False
        return all(
            (value := getattr(one, name)) is not None and value >= least
            for name, least in filters.least.items()
        )

    order = sorted(
        enumerate(records, 1), key=lambda pair: (pair[1].arrival_unix_s, pair[0]), reverse=True
    )
    return [one.id for _, one in order if passes(one)]


def all_pages(database: sqlite3.Connection, filters: Filters, limit: int) -> list[Row]:
    rows: list[Row] = []
    after = None
    while True:
        found = page(database, filters, limit, after)
        rows += found.rows
        if found.next is None:
            return rows
        assert len(found.rows) == limit
        after = Cursor.parse(str(found.next))


@given(
    st.lists(RECORDS, max_size=30),
    FILTERS,
    st.integers(1, 7),
    st.integers(0, 30),
    st.booleans(),
)
@settings(deadline=None)
def test_pages_together_are_a_scan_over_all_rows(
    records: list[RequestRecord], filters: Filters, limit: int, known: int, minutes_go: bool
) -> None:
    """Whether rollups have all of the rows, some or none, and whether minutes were deleted."""
    database = new_log()
    records = numbered(records)
    add(database, records[:known])
    fold(database)
    if minutes_go:
        Retention(None).trim(database, NOW_S + 86400 * 5.5)
    add(database, records[known:])
    assert [row.id for row in all_pages(database, filters, limit)] == expected(records, filters)


def test_a_page_says_where_the_next_begins_and_that_there_is_none() -> None:
    database = new_log()
    add(database, [record(number) for number in range(4)])
    first = page(database, Filters(), 2)
    assert [row.id for row in first.rows] == ["req-3", "req-2"]
    second = page(database, Filters(), 2, first.next)
    assert [row.id for row in second.rows] == ["req-1", "req-0"]
    assert second.next is None


def test_requests_that_come_meanwhile_do_not_shift_pages() -> None:
    database = new_log()
    add(database, [record(number) for number in range(4)])
    first = page(database, Filters(), 2)
    add(database, [record(number) for number in range(10, 20)])
    assert [row.id for row in page(database, Filters(), 2, first.next).rows] == ["req-1", "req-0"]


def test_a_damaged_row_is_counted_and_left_out() -> None:
    database = new_log()
    add(database, [record(number) for number in range(3)])
    with database:
        database.execute("UPDATE requests SET output_tokens = 'many' WHERE number = 2")
    found = page(database, Filters(), 10)
    assert [row.id for row in found.rows] == ["req-2", "req-0"]
    assert found.damaged == 1


@pytest.mark.parametrize("text", ["", "1", "a_1", "1_b", "nan_1", "inf_1", "1_-1", f"1_{2**63}"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Cursor.parse(text)
