"""Overload: how long a backend is left alone after 429."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headway.engines.overload import MOST_ASKED_S, Overload


def test_it_is_left_alone_for_as_long_as_it_asks_for() -> None:
    overload = Overload()
    overload.reported(7.0, 100.0)
    assert overload.until_s == 107.0
    overload.reported(2.0, 101.0)
    assert overload.until_s == 107.0
    overload.reported(86400.0, 101.0)
    assert overload.until_s == 101.0 + MOST_ASKED_S


def test_pauses_double_while_it_goes_on_refusing() -> None:
    overload = Overload()
    overload.reported(None, 0.0)
    overload.reported(None, 0.1)
    assert overload.until_s == 0.5, "requests of before the pause say nothing new"
    overload.reported(None, 0.5)
    assert overload.until_s == 1.5
    overload.reported(None, 1.5)
    assert overload.until_s == 3.5
    overload.succeeded()
    overload.reported(None, 4.0)
    assert overload.until_s == 4.5


@given(st.lists(st.tuples(st.none() | st.floats(0.0, 1e9), st.floats(0.0, 10.0)), max_size=50))
def test_whatever_it_says_it_is_tried_again_within_a_minute(
    seen: list[tuple[float | None, float]],
) -> None:
    overload = Overload()
    now_s = 0.0
    for asked_s, later_s in seen:
        now_s += later_s
        before_s = overload.until_s
        overload.reported(asked_s, now_s)
        assert before_s <= overload.until_s <= max(before_s, now_s + MOST_ASKED_S)
