"""The slowest requests: the same as by sorting all rows, whatever the rollups know of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.store.history.rows import NOW_S, add, fold, new_log
from tests.store.history.test_pages import FILTERS, RECORDS, expected, numbered

from headway.store.history.filters import Filters
from headway.store.history.retention import Retention
from headway.store.history.slowest import slowest
from headway.store.request_record import RequestRecord


@given(
    st.lists(RECORDS, max_size=30),
    FILTERS,
    st.sampled_from(["total_ms", "ttft_ms", "queue_ms"]),
    st.integers(1, 7),
    st.integers(0, 30),
    st.sampled_from([None, 1]),
)
@settings(deadline=None)
def test_they_are_the_first_of_all_sorted_by_their_time(
    records: list[RequestRecord],
    filters: Filters,
    measure: str,
    limit: int,
    known: int,
    keep_days: int | None,
) -> None:
    """Whether rollups have all of the rows, some or none, or more than are left."""
    filters = replace(
        filters,
        since_s=NOW_S - 86400 * 12 if filters.since_s is None else filters.since_s,
        until_s=NOW_S + 1 if filters.until_s is None else filters.until_s,
    )
    database = new_log()
    records = numbered(records)
    add(database, records[:known])
    fold(database)
    Retention(keep_days).trim(database, NOW_S)
    add(database, records[known:])
    kept = {id for (id,) in database.execute("SELECT id FROM requests")}
    by_id = {one.id: one for one in records if getattr(one, measure) is not None}
    wanted = [by_id[id] for id in expected(records, filters) if id in kept and id in by_id]
    wanted.sort(key=lambda one: (getattr(one, measure), int(one.id[1:])), reverse=True)
    found = slowest(database, filters, measure, limit)
    assert [row.id for row in found.rows] == [one.id for one in wanted[:limit]]
