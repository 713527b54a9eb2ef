"""While gateways hear nothing of each other, they never use more in sum than there is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headway.sharing.own_share import OwnShare
from headway.sharing.settings import QueueSettings

SETTINGS = QueueSettings("redis://nowhere")


def share_of(number: int, gateways: int, slots: int) -> OwnShare:
    own = OwnShare(SETTINGS, f"g{number}")
    own.members, own.slots = [f"g{n}" for n in range(gateways)], {"b": slots}
    return own


@given(st.data())
def test_the_sum_of_all_is_at_most_the_slots_at_any_time(data: st.DataObject) -> None:
    slots = data.draw(st.integers(0, 20))
    gateways = data.draw(st.integers(1, 6))
    left, used = slots, []
    for _ in range(gateways):
        used.append(data.draw(st.integers(0, left)))
        left -= used[-1]
    now_s = data.draw(st.floats(0.0, 10.0))
    # Each has last heard of Redis at another moment, at most one sign of life ago.
    late = [data.draw(st.floats(0.0, SETTINGS.beat_s)) for _ in range(gateways)]
    allowed = [
        share_of(number, gateways, slots).allowed({"b": used[number]}, now_s + late[number])
        for number in range(gateways)
    ]
    assert sum(one.get("b", 0) for one in allowed) <= slots


def test_each_uses_its_share_in_the_end() -> None:
    allowed = [share_of(n, 3, 8).allowed({"b": 0}, 60.0)["b"] for n in range(3)]
    assert allowed == [3, 3, 2]


def test_what_it_used_is_its_own_at_first() -> None:
    assert share_of(0, 3, 8).allowed({"b": 8}, 0.5) == {"b": 8}


def test_one_that_never_heard_of_the_others_uses_nothing() -> None:
    assert OwnShare(SETTINGS, "g0").allowed({"b": 0}, 60.0) == {"b": 0}
