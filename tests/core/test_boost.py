"""Head starts: between first come, first served and shortest job first."""

from math import exp, inf, isfinite, log

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.test_policies import COST, request

from headway.core.backend import Backend
from headway.core.estimate import SizeEstimate
from headway.core.policies.boost import Boost
from headway.core.request import Request
from headway.core.scheduler import Scheduler
from headway.core.settings import BoostSettings, SchedulerSettings
from headway.core.size_classes import SHORTEST_S

scales = st.floats(1e-3, 1e6)
estimates = st.lists(
    st.tuples(st.integers(1, 40_000), st.floats(0.0, 1.0)), min_size=1, max_size=8
).filter(lambda points: any(weight > 1e-3 for _, weight in points))


def boost(scale_s: float, slots: int = 1) -> Boost:
    settings = SchedulerSettings(policy="boost", cost=COST, boost=BoostSettings(scale_s=scale_s))
    policy = Boost(settings)
    policy.use_slots(slots)
    return policy


def order(requests: list[Request], scale_s: float) -> list[str]:
    """In which one slot runs them."""
    settings = SchedulerSettings(policy="boost", cost=COST, boost=BoostSettings(scale_s=scale_s))
    scheduler = Scheduler(settings)
    for one in requests:
        scheduler.add(one, one.arrival_s)
    scheduler.set_backend(Backend("x", 1, cost=COST), 100.0)
    started = []
    while scheduler.requests:
        (start,) = scheduler.step(100.0)
        started.append(start.request.id)
        scheduler.finish(start.request.id, 100.0)
    return started


def test_a_short_request_goes_first_within_its_head_start_and_not_beyond() -> None:
    # 8 s of work and 0.1 s: at T = 2 s the difference of the head starts is about 9 s.
    assert order([request("long", 800), request("short", 1, 8.0)], 2.0) == ["short", "long"]
    assert order([request("long", 800), request("short", 1, 11.0)], 2.0) == ["long", "short"]


def test_a_small_scale_is_fcfs_and_a_large_one_sjf() -> None:
    requests = [(name, tokens, float(n)) for n, (name, tokens) in enumerate(SIZES)]
    assert order([request(*one) for one in requests], 1e-3) == ["a", "b", "c", "d"]
    assert order([request(*one) for one in requests], 1e4) == ["b", "d", "c", "a"]


SIZES = [("a", 900), ("b", 10), ("c", 300), ("d", 30)]


def test_waiting_requests_follow_a_change_of_the_scale_at_once() -> None:
    policy = boost(1e-3)
    queue = policy.queue()
    long, short = request("long", 900), request("short", 10, 1.0)
    for number, one in enumerate((long, short)):
        one.sequence = number
        queue.push(one)
    assert queue.peek(2.0) is long
    policy.rescale(100.0)
    assert queue.peek(2.0) is short


def test_the_head_start_is_that_of_the_whole_distribution() -> None:
    scale_s, slots = 0.5, 4
    estimate = SizeEstimate((10, 100, 1000), (0.6, 0.3, 0.1))
    one = Request("r", 0.0, 10, estimate)
    work_s = COST.prefill_work_s(one)
    moment = sum(
        weight * exp((work_s + COST.decode_s_per_token * tokens) / slots / scale_s)
        for tokens, weight in zip(estimate.tokens, estimate.weights, strict=True)
    )
    paper_s = scale_s * log(moment / (moment - 1.0))
    # A class is a quarter of an octave wide.
    assert -boost(scale_s, slots).rank(one) == pytest.approx(paper_s, abs=scale_s * log(2.0) / 8)


@given(estimates, st.floats(0.0, 1e6))
def test_the_exponential_mean_is_between_the_mean_and_the_longest(points, rate) -> None:
    lengths = dict(points)
    estimate = SizeEstimate(sorted(lengths), [lengths[tokens] + 1e-9 for tokens in sorted(lengths)])
    mean = estimate.exponential_mean(rate)
    assert estimate.mean * (1 - 1e-6) - 1e-3 <= mean <= estimate.longest * (1 + 1e-9)
    assert estimate.exponential_mean(2.0 * rate) >= mean * (1 - 1e-6) - 1e-3


@given(estimates, scales, st.integers(1, 10_000), st.integers(0, 10**6))
def test_every_head_start_is_a_finite_time(points, scale_s, slots, prompt_tokens) -> None:
    lengths = dict(points)
    estimate = SizeEstimate(sorted(lengths), [lengths[tokens] + 1e-9 for tokens in sorted(lengths)])
    head_start_s = -boost(scale_s, slots).rank(Request("r", 0.0, prompt_tokens, estimate))
    assert isfinite(head_start_s) and head_start_s >= 0.0


@given(
    st.lists(st.tuples(st.floats(0.0, 50.0), st.integers(1, 30_000)), min_size=2, max_size=12),
    st.floats(0.01, 100.0),
    st.integers(1, 100),
)
def test_nobody_is_overtaken_by_those_that_come_after_the_bound(sizes, scale_s, slots) -> None:
    policy = boost(scale_s, slots)
    requests = [request(str(n), tokens, at_s) for n, (at_s, tokens) in enumerate(sorted(sizes))]
    for one in requests:
        bound_s = scale_s * (1.0 + log(policy.size_s(one) / SHORTEST_S))
        for other in requests:
            if other.arrival_s >= one.arrival_s + bound_s:
                assert policy.rank(one) < policy.rank(other)


@given(st.lists(scales, min_size=1, max_size=30), st.integers(1, 500))
def test_requests_of_one_length_run_by_arrival_at_any_scale(chosen, tokens) -> None:
    policy = boost(chosen[0])
    queue = policy.queue()
    for number, scale_s in enumerate(chosen):
        policy.rescale(scale_s)
        one = request(str(number), tokens, float(number))
        one.sequence = number
        queue.push(one)
    for number in range(len(chosen)):
        first = queue.peek(100.0)
        assert first is not None and first.id == str(number)
        first.ticket += 1
        queue.entry_died()


@pytest.mark.parametrize("tail", [0.99, 0.0, -1.0, inf, float("nan")])
def test_a_tail_below_that_of_fcfs_is_refused(tail) -> None:
    with pytest.raises(ValueError, match="choose at least 1"):
        BoostSettings(tail)


@pytest.mark.parametrize("scale_s", [0.0, -1.0, inf, float("nan")])
def test_a_scale_that_is_no_time_is_refused(scale_s) -> None:
    with pytest.raises(ValueError, match="choose one above 0"):
        BoostSettings(scale_s=scale_s)
