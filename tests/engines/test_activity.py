"""Activity: for how long nothing came, though something was asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headway.engines.activity import Activity


def test_only_time_with_requests_in_flight_counts() -> None:
    activity = Activity()
    assert activity.silence_s(100.0) == 0.0
    activity.began(100.0)
    activity.began(101.0)
    assert activity.silence_s(103.0) == 3.0
    activity.ended(103.0)
    activity.ended(104.0)
    assert activity.silence_s(200.0) == 4.0, "its clients gave up: that is no sign of life"
    activity.began(200.0)
    assert activity.silence_s(201.0) == 5.0
    activity.heard(202.0)
    assert activity.silence_s(202.5) == 0.5


@given(st.lists(st.tuples(st.sampled_from("beh"), st.floats(0.0, 10.0)), max_size=60))
def test_silence_is_the_time_in_flight_since_something_came(
    events: list[tuple[str, float]],
) -> None:
    activity = Activity()
    now_s = silent_s = 0.0
    in_flight = 0
    for kind, later_s in events:
        now_s += later_s
        if in_flight:
            silent_s += later_s
        if kind == "b":
            activity.began(now_s)
            in_flight += 1
        elif kind == "e" and in_flight:
            activity.ended(now_s)
            in_flight -= 1
        elif kind == "h" and in_flight:
            activity.heard(now_s)
            silent_s = 0.0
        assert abs(activity.silence_s(now_s) - silent_s) < 1e-6
