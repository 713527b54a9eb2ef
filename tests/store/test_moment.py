"""Moments, as people and programs write them."""

from datetime import datetime

import pytest

from headway.store.moment import moment


def at(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7d", "2026-11-03T00:00:00"),
        ("12h", "2026-11-09T12:00:00"),
        ("2026-11-01", "2026-11-01T00:00:00"),
        ("20261101", "2026-11-01T00:00:00"),
        ("2026-11-01T02:00+01:00", "2026-11-01T01:00:00"),
        ("1793491200", "2026-11-01T00:00:00"),
        ("1793491200.5", "2026-11-01T00:00:00.500000"),
    ],
)
def test_a_moment_is_a_date_a_time_an_age_or_seconds_since_1970(text: str, meant: str) -> None:
    assert moment(text, at("2026-11-10T00:00:00")) == at(meant)


@pytest.mark.parametrize("text", ["yesterday", "", "7", "2026", "2026-13-01", "-7d", "1e9", "nan"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a date as"):
        moment(text, 0.0)
