"""Figures over time: sums exact, percentiles within 1%, for any filter and any dimension."""

from __future__ import annotations

from collections import defaultdict
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.store.history.rows import NOW_S, add, fold, new_log, record
from tests.store.history.test_pages import RECORDS

from headway.store.history.filters import Filters
from headway.store.history.histogram import LEAST_MS
from headway.store.history.rollups import DAY_S, HOUR_S, MEASURES, MINUTE_S
from headway.store.history.series import MOST_LINES, By, series, step_of
from headway.store.request_record import RequestRecord

FILTERS = st.builds(
    Filters,
    since_s=st.sampled_from([NOW_S - 2 * 86400, NOW_S - 7 * 86400]),
    until_s=st.just(NOW_S + 1),
    tenant=st.sampled_from([None, None, "acme"]),
    model=st.sampled_from([None, None, "smol"]),
    tier=st.sampled_from([None, None, "batch"]),
    outcome=st.sampled_from([None, None, "failed"]),
)


def nearest_rank(values: list[float], share: float) -> float | None:
    return sorted(values)[max(0, ceil(share * len(values) - 1e-9) - 1)] if values else None


@given(
    st.lists(RECORDS, max_size=40),
    FILTERS,
    st.sampled_from([None, "tenant", "model", "tier", "outcome"]),
    st.sampled_from([HOUR_S, 6 * HOUR_S, DAY_S, 3 * DAY_S]),
    st.sampled_from(MEASURES),
)
@settings(deadline=None)
def test_figures_are_those_of_a_scan_over_all_rows(
    records: list[RequestRecord], filters: Filters, by: By | None, step_s: int, measure: str
) -> None:
    database = new_log()
    add(database, records)
    fold(database)
    found = series(database, filters, by, step_s, measure)
    groups: dict[str | None, dict[int, list[RequestRecord]]] = defaultdict(
        lambda: defaultdict(list)
    )
    first_s = found.times[0]
    for one in records:
        if one.arrival_unix_s >= first_s and all(
            getattr(one, name) == value for name, value in filters.names.items()
        ):
            at = int(one.arrival_unix_s // step_s) * step_s
            groups[getattr(one, by) if by else None][at].append(one)
    if by is None:
        groups[None]
    assert {line.name for line in found.lines} == set(groups)
    for line in found.lines:
        for place, time in enumerate(found.times):
            of = groups[line.name][time]
            assert line.requests[place] == len(of)
            assert line.output_tokens[place] == sum(one.output_tokens or 0 for one in of)
            values = [v for one in of if (v := getattr(one, measure)) is not None]
            for label, share in (("p50", 0.5), ("p99", 0.99)):
                exact = nearest_rank(values, share)
                shown = getattr(line.percentiles_ms, label)[place]
                if exact is None:
                    assert shown is None
                else:
                    assert shown == pytest.approx(exact, rel=0.0105, abs=LEAST_MS)


def test_many_tenants_share_one_line() -> None:
    database = new_log()
    count = MOST_LINES + 3
    add(
        database,
        [record(n, tenant=f"t{n:02d}", cost=0.5) for n in range(count) for _ in range(count - n)],
    )
    fold(database)
    filters = Filters(since_s=NOW_S - 60, until_s=NOW_S + 60)
    found = series(database, filters, "tenant", MINUTE_S, "total_ms")
    assert [line.name for line in found.lines] == [f"t{n:02d}" for n in range(MOST_LINES)] + [None]
    assert found.lines[-1].whole.requests == 3 + 2 + 1
    assert found.lines[-1].whole.cost == 3.0
    assert found.lines[-1].whole.percentiles_ms["p50"] == pytest.approx(500.0, rel=0.01)


def test_an_empty_log_has_figures_too() -> None:
    found = series(
        new_log(), Filters(since_s=NOW_S, until_s=NOW_S + 120), None, MINUTE_S, "total_ms"
    )
    assert found.lines[0].whole.requests == 0
    assert set(found.lines[0].percentiles_ms.p99) == {None}


def test_a_stretch_has_a_step_that_suits_it() -> None:
    now_s = NOW_S
    assert step_of(now_s - 3600, now_s, now_s) == MINUTE_S
    assert step_of(now_s - DAY_S, now_s, now_s) == 15 * MINUTE_S
    assert step_of(now_s - 20 * DAY_S, now_s - 20 * DAY_S + 3600, now_s) == HOUR_S
    assert step_of(now_s - 7 * DAY_S, now_s, now_s) == HOUR_S
    assert step_of(now_s - 30 * DAY_S, now_s, now_s) == DAY_S
    assert step_of(now_s - 90 * DAY_S, now_s, now_s) == DAY_S
    assert step_of(0.0, now_s, now_s) == 110 * DAY_S
