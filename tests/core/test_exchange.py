"""When the requests that wait gain more by a preemption than it costs."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.test_policies import COST, request

from headway.core.backend import Backend
from headway.core.cost import CostModel
from headway.core.estimate import SizeEstimate
from headway.core.exchange import DELAYED, Exchange
from headway.core.policies import POLICIES
from headway.core.request import Request
from headway.core.settings import SchedulerSettings
from headway.core.tiers import tier_order
from headway.core.waiting import Waiting

FREE = replace(COST, preempt_s=0.0)
"""A token takes 0.01 s, and a preemption nothing."""


def pays(
    running: list[Request], waiting: list[Request], cost: CostModel = FREE, policy: str = "srpt"
) -> bool:
    """Whether it pays to stop the first of `running` for the first of `waiting`."""
    settings = SchedulerSettings(policy=policy, cost=cost)
    order = POLICIES[policy](settings)
    queue = Waiting(order, tier_order(settings), None, by_tenant=False)
    backend = Backend("x", len(running), cost=cost)
    for sequence, one in enumerate([*running, *waiting]):
        one.sequence = sequence
        if one in running:
            backend.take(one)
            one.output_tokens = max(1, one.output_tokens)
        else:
            queue.push(one)
    return Exchange(order, queue, [backend]).pays(running[0], waiting[0], backend)


def some(count: int, tokens: int, name: str = "r") -> list[Request]:
    return [request(f"{name}{number}", tokens) for number in range(count)]


def test_on_one_slot_a_longer_request_gives_way_to_a_shorter_one() -> None:
    assert pays(some(1, 900), some(1, 100))
    assert not pays(some(1, 100), some(1, 105))


def test_among_many_slots_one_frees_soon_enough_by_itself() -> None:
    """The same two requests: 64 slots free one every 0.14 s, and waiting for one costs no more than
    a preemption does."""
    cost = replace(COST, preempt_s=0.05)
    assert pays(some(1, 900), some(1, 100), cost)
    assert not pays(some(64, 900), some(1, 100), cost)


def test_where_many_wait_it_pays_on_many_slots_too() -> None:
    cost = replace(COST, preempt_s=0.3)
    assert not pays(some(16, 900), some(4, 100), cost)
    assert pays(some(16, 900), some(90, 100), cost)


def test_a_request_that_may_end_soon_keeps_its_slot() -> None:
    """Both are expected to take 500 tokens more; one of them ends at once or goes on for long."""
    sure, unsure = request("sure"), request("unsure")
    sure.estimate = SizeEstimate((501,), (1.0,))
    unsure.estimate = SizeEstimate((2, 5001), (0.9002, 0.0998))
    assert unsure.estimate.remaining_mean(1) == pytest.approx(500, rel=0.01)
    assert pays([sure], some(1, 100))
    assert not pays([unsure], some(1, 100))


def test_an_outlived_prediction_does_not_make_a_request_yield_to_an_equal_one() -> None:
    """It is expected to take as long again, but any moment may be its last."""
    outlived = request("outlived", 50)
    outlived.output_tokens = 150
    assert outlived.remaining_tokens == 150
    assert not pays([outlived], some(1, 100))
    assert pays([outlived], some(1, 10))


def test_the_cost_delays_all_that_wait_and_not_only_those_that_go_first() -> None:
    cost = replace(COST, preempt_s=0.5)
    assert pays(some(1, 900), some(3, 100), cost)
    assert not pays(some(1, 900), some(3, 100) + some(40, 2000, "behind"), cost)


def test_computing_the_context_again_is_a_cost() -> None:
    for share, expected in ((0.0, True), (1.0, False)):
        long = request("long", 900, prompt_tokens=9000)
        assert pays([long], some(1, 100), replace(FREE, recompute_share=share)) == expected


def test_under_ltr_the_gain_is_in_seconds_and_not_in_scores() -> None:
    reads = request("reads", 5, prompt_tokens=20_000, score=1.0)
    assert not pays([request("writes", 900, score=9.0)], [reads], policy="ltr")
    assert pays([request("writes", 900, score=9.0)], [request("short", 5, score=1.0)], policy="ltr")


lengths = st.integers(2, 2000)
queues = st.lists(lengths, min_size=1, max_size=30)


@given(lengths, lengths, st.floats(0.0, 1.0))
def test_on_one_slot_it_is_srpts_exchange(left, size, preempt_s) -> None:
    """One request gains the difference of both, and the pause delays DELAYED of them."""
    rest, first = request("rest", left), request("first", size)
    expected = 0.01 * (left - 1) - FREE.remaining_s(first) - DELAYED * preempt_s
    if abs(expected) > 1e-6:
        found = pays([rest], [first], replace(COST, preempt_s=preempt_s))
        assert found == (expected > 0.0 and FREE.remaining_s(first) < 0.01 * (left - 1))


@given(st.lists(lengths, min_size=1, max_size=8), queues, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_dearer_stop_never_pays_where_a_cheaper_one_does_not(running, waiting, one_s, other_s):
    def answer(preempt_s: float) -> bool:
        return pays(
            [request(f"r{n}", tokens) for n, tokens in enumerate(running)],
            [request(f"w{n}", tokens) for n, tokens in enumerate(sorted(waiting))],
            replace(COST, preempt_s=preempt_s),
        )

    assert answer(min(one_s, other_s)) or not answer(max(one_s, other_s))


@given(lengths, queues, st.integers(1, 16))
def test_a_request_never_yields_to_those_that_take_longer(left, waiting, slots) -> None:
    longer = [request(f"w{n}", left + tokens) for n, tokens in enumerate(sorted(waiting))]
    assert not pays([request(f"r{n}", left) for n in range(slots)], longer)
