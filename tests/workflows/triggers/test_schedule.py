"""Times that start runs: zones, changes of the clock, windows, and what a downtime missed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.workflows.conftest import Bench

import headway
from headway.workflows.catalog import Catalog
from headway.workflows.llm import Gateway
from headway.workflows.triggers import Cron, Every
from headway.workflows.triggers.runner import Triggers
from headway.workflows.triggers.schedule import MOST_MISSED, Window, due


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def moments(schedule: Any, last: str, now: str) -> list[str]:
    return [one.isoformat() for one in due(schedule, at(last), at(now))[0]]


def test_a_cron_is_due_at_its_time_of_its_zone() -> None:
    cron = Cron("30 2 * * *", timezone="Asia/Kolkata", catch_up="all")
    assert moments(cron, "2026-01-01T00:00+00:00", "2026-01-02T12:00+00:00") == [
        "2026-01-02T02:30:00+05:30"
    ]


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-29", "03:00:00+02:00"), ("2026-10-25", "02:30:00+02:00")],
)
def test_a_daily_time_that_the_clock_skips_or_repeats_is_due_once(day: str, hours: str) -> None:
    cron = Cron("30 2 * * *", timezone="Europe/Berlin", catch_up="all")
    begin = at(f"{day}T00:00+01:00")
    found, _ = due(cron, begin, begin + timedelta(hours=20))
    assert [one.isoformat() for one in found] == [f"{day}T{hours}"]


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("all", ["2026-01-01T01:00:00+00:00", "2026-01-01T02:00:00+00:00"]),
        ("once", ["2026-01-01T02:00:00+00:00"]),
        ("skip", []),
    ],
)
def test_what_a_downtime_missed_is_caught_up_or_skipped(catch_up: Any, expected: list[str]) -> None:
    cron = Cron("0 * * * *", catch_up=catch_up)
    last, now = "2026-01-01T00:00+00:00", "2026-01-01T02:30+00:00"
    assert moments(cron, last, now) == expected
    assert due(cron, at(last), at(now))[1] == at("2026-01-01T02:00+00:00")


@pytest.mark.parametrize("schedule", [Cron("* * * * *"), Every(60)])
def test_of_a_long_downtime_the_latest_times_count(schedule: Any) -> None:
    last, now = at("2026-01-01T00:00+00:00"), at("2026-03-01T00:00:30+00:00")
    for catch_up, count in (("all", MOST_MISSED), ("once", 1)):
        found, handled = due(replace(schedule, catch_up=catch_up), last, now)
        assert (len(found), found[-1]) == (count, at("2026-03-01T00:00+00:00"))
        assert found[0] == handled - timedelta(minutes=count - 1)
    late = replace(schedule, catch_up="skip", window="22:00-06:00")
    assert due(late, last, now + timedelta(hours=12))[0] == []


def test_times_before_a_window_are_one_when_it_opens() -> None:
    often = Cron("* * * * *", window="02:00-03:00")
    last = "2026-01-01T02:59+00:00"
    assert moments(often, last, "2026-01-02T01:59:59+00:00") == []
    assert moments(often, last, "2026-01-02T02:00+00:00") == ["2026-01-02T02:00:00+00:00"]


def test_a_time_outside_its_window_waits_for_it() -> None:
    cron = Cron("0 12 * * *", window="22:00-06:00")
    assert moments(cron, "2026-01-01T00:00+00:00", "2026-01-01T21:59+00:00") == []
    assert moments(cron, "2026-01-01T00:00+00:00", "2026-01-01T22:00+00:00") == [
        "2026-01-01T12:00:00+00:00"
    ]


def test_a_window_may_pass_midnight() -> None:
    window = Window("22:00-06:00")
    assert window.first_in(at("2026-01-01T23:00+00:00")) == at("2026-01-01T23:00+00:00")
    assert window.first_in(at("2026-01-01T05:59+00:00")) == at("2026-01-01T05:59+00:00")
    assert window.first_in(at("2026-01-01T06:00+00:00")) == at("2026-01-01T22:00+00:00")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"expression": "0 0 31 2 *"}, "no time that ever comes"),
        ({"expression": "61 * * * *"}, "no time that ever comes"),
        ({"expression": "0 0 * * *", "timezone": "Berlin"}, "there is no time zone 'Berlin'"),
        ({"expression": "0 0 * * *", "window": "night"}, "no window of the day"),
        ({"expression": "0 0 * * *", "catch_up": "maybe"}, "skip, once or all"),
    ],
)
def test_a_time_that_never_comes_is_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Cron(**arguments)


def test_a_clock_that_jumps_back_repeats_nothing() -> None:
    every = Every(60, catch_up="all")
    last = at("2026-01-01T10:00+00:00")
    assert due(every, last, at("2026-01-01T09:00+00:00")) == ([], last)


@given(
    steps=st.lists(st.floats(0, 500), min_size=1, max_size=30),
    seconds=st.integers(30, 100),
)
def test_however_often_one_looks_every_moment_is_due_once(steps: list[float], seconds: int) -> None:
    every = Every(seconds, catch_up="all")
    now = last = at("2026-01-01T00:00+00:00")
    found = []
    for step in steps:
        now += timedelta(seconds=step)
        fired, last = due(every, last, now)
        found += fired
    assert found == due(every, at("2026-01-01T00:00+00:00"), now)[0]


async def test_a_trigger_starts_one_run_an_event_whoever_watches(bench: Bench) -> None:
    now = [at("2026-01-01T00:00:30+00:00").timestamp()]

    @headway.workflow(triggers=[Cron("* * * * *", catch_up="all", input={"who": "me"})])
    async def minutely(at: str, who: str) -> str:
        return f"{at} {who}"

    catalog = Catalog([minutely])
    async with bench.working(minutely):
        triggers = Triggers(
            bench.journal, catalog, Gateway("http://127.0.0.1:1"), lambda: None, lambda: now[0]
        )
        async with bench.beside(triggers.run()):
            await bench.until_mark("minutely.cron * * * * * UTC")
        now[0] += 300.0  # while nobody watched
        async with bench.beside(triggers.run()), bench.beside(triggers.run()):
            runs = [row.output_json for row in await bench.until_runs(5)]
    assert sorted(map(str, runs)) == [
        f'"2026-01-01T00:0{minute}:00+00:00 me"' for minute in range(1, 6)
    ]
