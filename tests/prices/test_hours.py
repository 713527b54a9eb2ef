"""Hours of a backend, shared by what runs on it."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.daily_hours import ZonedHours
from headway.prices.hours import HourlyPrice, Mark, SharedHours

NOON = datetime.fromisoformat("2026-01-10T12:00:00+00:00").timestamp()
NIGHT = HourlyPrice(6.0, ((ZonedHours.parse("22:00-06:00 UTC"), 1.0),))


def test_one_alone_pays_the_whole_price() -> None:
    meter = SharedHours(HourlyPrice(3.6), 0.0)
    mark = meter.begin(100.0, NOON)
    assert meter.end(mark, 110.0, NOON + 10.0) == pytest.approx(0.01)


def test_those_that_run_together_share_and_nobody_pays_for_idle_time() -> None:
    meter = SharedHours(HourlyPrice(3.6), 0.0)
    first = meter.begin(0.0, NOON)
    second = meter.begin(10.0, NOON + 10.0)
    assert meter.end(first, 20.0, NOON + 20.0) == pytest.approx(0.010 + 0.005)
    assert meter.end(second, 30.0, NOON + 30.0) == pytest.approx(0.005 + 0.010)
    third = meter.begin(1000.0, NOON + 1000.0)
    assert meter.end(third, 1001.0, NOON + 1001.0) == pytest.approx(0.001)


def test_the_price_changes_within_a_run() -> None:
    ten = datetime.fromisoformat("2026-01-10T22:00:00+00:00").timestamp()
    meter = SharedHours(NIGHT, 0.0)
    mark = meter.begin(0.0, ten - 1800.0)
    assert meter.end(mark, 3600.0, ten + 1800.0) == pytest.approx(3.0 + 0.5)


def test_hours_without_a_price_make_the_share_unknown() -> None:
    meter = SharedHours(HourlyPrice(None), 0.0)
    mark = meter.begin(0.0, NOON)
    assert meter.share(mark, 5.0, NOON + 5.0) is None
    meter.use(HourlyPrice(3.6), 5.0, NOON + 5.0)
    later = meter.begin(5.0, NOON + 5.0)
    assert meter.end(mark, 15.0, NOON + 15.0) is None
    assert meter.end(later, 15.0, NOON + 15.0) == pytest.approx(0.005)


def test_a_new_price_counts_from_then_on() -> None:
    meter = SharedHours(HourlyPrice(3.6), 0.0)
    mark = meter.begin(0.0, NOON)
    meter.use(HourlyPrice(36.0), 10.0, NOON + 10.0)
    assert meter.end(mark, 20.0, NOON + 20.0) == pytest.approx(0.01 + 0.1)


def test_a_clock_that_jumps_back_changes_no_duration() -> None:
    meter = SharedHours(HourlyPrice(3.6), 0.0)
    mark = meter.begin(0.0, NOON)
    assert meter.end(mark, 10.0, NOON - 86_400.0) == pytest.approx(0.01)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.0, 5000.0)), max_size=60))
def test_all_shares_together_are_the_price_of_the_busy_time(steps: list[tuple[int, float]]) -> None:
    meter, now, busy_s, paid = SharedHours(HourlyPrice(3600.0), 0.0), 0.0, 0.0, 0.0
    under_way: list[Mark] = []
    for which, for_s in steps:
        if which < len(under_way):
            share = meter.end(under_way.pop(which), now, NOON + now)
            assert share is not None and share >= 0.0
            paid += share
        else:
            under_way.append(meter.begin(now, NOON + now))
        busy_s += for_s if under_way else 0.0
        now += for_s
    paid += sum(meter.end(mark, now, NOON + now) or 0.0 for mark in under_way)
    assert paid == pytest.approx(busy_s, rel=1e-6, abs=1e-3)
