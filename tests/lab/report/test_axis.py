"""Axes: where values lie, and which ticks there are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headway.lab.report.axis import Axis

SECONDS = st.floats(1e-3, 1e5)


def test_ordinary_values_have_a_linear_axis_from_zero() -> None:
    axis = Axis.fitting("latency", [1.0, 2.0, 3.0, 4.0], "s")
    assert not axis.logarithmic
    assert (axis.place(0.0), axis.ticks()[0], axis.name) == (0.0, 0.0, "latency (s)")


def test_one_outlier_does_not_squeeze_the_others() -> None:
    axis = Axis.fitting("latency", [*(0.1 * n for n in range(1, 40)), 900.0], "s")
    assert axis.logarithmic
    assert axis.name == "latency (s, log scale)"
    assert axis.place(2.0) > 0.3


def test_most_values_far_below_the_rest_have_room_too() -> None:
    assert Axis.fitting("latency", [*[0.1] * 60, *[30.0] * 40]).logarithmic


@given(st.lists(SECONDS, min_size=1, max_size=40))
def test_every_value_lies_on_the_axis_and_order_is_kept(values: list[float]) -> None:
    axis = Axis.fitting("latency", values)
    places = [axis.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert places[0] >= 0.0 and places[-1] <= 1.0 + 1e-9


@given(SECONDS, st.one_of(st.just(0.0), st.floats(1e-6, 1.0)), st.sampled_from([4, 5]))
def test_ticks_ascend_within_the_same_ends(top: float, share: float, most: int) -> None:
    axis = Axis("latency", top, bottom=share * top)
    ticks = axis.ticks(most)
    assert ticks == sorted(set(ticks)) and 2 <= len(ticks) <= 2 * most + 3
    assert (ticks[0], ticks[-1]) == (axis.ticks()[0], axis.ticks()[-1])


def test_there_is_no_half_of_what_is_counted() -> None:
    assert Axis("replicas", 2, whole=True).ticks() == [0, 1, 2]
