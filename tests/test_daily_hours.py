"""Hours of the day, on the clocks of a place."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import pytest

from headway.daily_hours import ZonedHours


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(("time", "is_open"), [
    ("2026-01-10T20:59:59+00:00", False),
    ("2026-01-10T21:00:00+00:00", True),  # 22:00 in Berlin
    ("2026-01-11T04:59:59+00:00", True),
    ("2026-01-11T05:00:00+00:00", False),
    ("2026-07-10T20:00:00+00:00", True),  # summer time
    ("2026-03-29T03:30:00+00:00", True),  # the morning of the change: 05:30
    ("2026-03-29T04:00:00+00:00", False),
])  # fmt: skip
def test_a_night_in_berlin(time: str, is_open: bool) -> None:
    assert ZonedHours.parse("22:00-06:00 Europe/Berlin").include(at(time)) is is_open


def test_hours_within_a_day() -> None:
    hours = ZonedHours.parse("09:30-17:00 UTC")
    assert [
        hours.include(at(f"2026-01-10T{time}+00:00")) for time in ("09:29", "09:30", "17:00")
    ] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(("since", "first"), [
    ("2026-03-28T12:00+00:00", ("2026-03-28T21:00+00:00", "2026-03-29T04:00+00:00")),
    ("2026-03-29T01:00+00:00", ("2026-03-29T01:00+00:00", "2026-03-29T04:00+00:00")),
    ("2026-03-28T05:00+00:00", ("2026-03-28T21:00+00:00", "2026-03-29T04:00+00:00")),
])  # fmt: skip
def test_openings_follow_the_clocks_of_the_place(since: str, first: tuple[str, str]) -> None:
    second = "2026-03-29T20:00+00:00", "2026-03-30T04:00+00:00"  # summer time
    openings = ZonedHours.parse("22:00-06:00 Europe/Berlin").openings(at(since))
    expected = [(at(begins), at(ends)) for begins, ends in (first, second)]
    assert list(islice(openings, 2)) == expected


@pytest.mark.parametrize(("text", "why"), [
    ("at night", "22:00-06:00 Europe/Berlin"),
    ("22:00-06:00", "22:00-06:00 Europe/Berlin"),
    ("25:00-06:00 UTC", "no clock shows"),
    ("06:00-06:00 UTC", "empty"),
    ("22:00-06:00 Europe/Nowhere", "not a time zone"),
    ("22:00-06:00 ../etc", "not a time zone"),
])  # fmt: skip
def test_what_are_no_hours(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ZonedHours.parse(text)
