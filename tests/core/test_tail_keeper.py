"""A promise about p99 latency, kept by the scale of the head starts."""

from dataclasses import replace
from heapq import heappop, heappush
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.test_policies import COST, request

from headway.core.backend import Backend
from headway.core.decision import Start
from headway.core.estimate import SizeEstimate
from headway.core.latency_window import REMEMBERED
from headway.core.policies.boost import Boost
from headway.core.request import State, Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import BoostSettings, SchedulerSettings
from headway.core.tail_keeper import AIM, LEAST_EVERY, LEAST_SCALE_S, SCALE_OF_ROOM, TailKeeper

SLOTS = 8


def played(
    policy: str, load: float, tail: float = 1.15, tokens: tuple[int, ...] = (), count: int = 4000
) -> tuple[list[float], Scheduler]:
    """Latencies of Poisson arrivals of exponential or given lengths, all of them known."""
    rng = Random(1)
    scheduler = Scheduler(SchedulerSettings(policy=policy, cost=COST, boost=BoostSettings(tail)))
    scheduler.set_backend(Backend("x", SLOTS, cost=COST), 0.0)
    events: list[tuple[float, str, int]] = []
    at_s = 0.0
    lengths = []
    for number in range(count):
        at_s += rng.expovariate(load * SLOTS)
        lengths.append(rng.choice(tokens) if tokens else 1 + int(rng.expovariate(1 / 100)))
        heappush(events, (at_s, f"r{number}", lengths[number]))
    latencies = []
    while events:
        now_s, name, length = heappop(events)
        if length:
            one = request(name, length, now_s, prompt_tokens=0)
            scheduler.add(one, now_s)
        else:
            done = scheduler.requests[name]
            scheduler.progress(name, int(done.estimate.mean), now_s)
            scheduler.finish(name, now_s)
            latencies.append(now_s - done.arrival_s)
        for decision in scheduler.step(now_s):
            assert isinstance(decision, Start)
            work_s = COST.service_s(decision.request)
            heappush(events, (now_s + work_s, decision.request.id, 0))
    return latencies, scheduler


def p99(latencies: list[float]) -> float:
    return sorted(latencies)[int(0.99 * len(latencies))]


def mean(latencies: list[float]) -> float:
    return sum(latencies) / len(latencies)


@pytest.mark.parametrize("load", [0.95, 1.0, 1.2])
def test_the_mean_falls_and_the_promise_is_kept_at_any_load(load) -> None:
    fcfs, _ = played("fcfs", load)
    boost, _ = played("boost", load)
    sjf, _ = played("sjf", load)
    assert p99(boost) <= 1.2 * p99(fcfs)
    assert mean(boost) <= mean(fcfs) - 0.3 * (mean(fcfs) - mean(sjf))


def test_it_knows_what_fcfs_would_have_done() -> None:
    fcfs, _ = played("fcfs", 1.05, count=REMEMBERED)
    boost, scheduler = played("boost", 1.05, count=REMEMBERED)
    assert scheduler.tail is not None
    assert scheduler.tail.stretch == pytest.approx(p99(boost) / p99(fcfs), abs=0.1)


def test_a_larger_promise_buys_a_lower_mean() -> None:
    means = [mean(played("boost", 1.05, tail)[0]) for tail in (1.0, 1.15, 1.6)]
    assert means == sorted(means, reverse=True)


def test_lengths_that_are_all_alike_are_served_by_arrival() -> None:
    fcfs, _ = played("fcfs", 1.0, tokens=(100,), count=800)
    boost, scheduler = played("boost", 1.0, tokens=(100,), count=800)
    assert boost == fcfs
    assert scheduler.tail is not None and scheduler.tail.stretch == pytest.approx(1.0)


events = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 2000)),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.1, 5.0, 1e5])),
        st.tuples(st.just("finish"), st.integers(0, 99)),
        st.tuples(st.just("cancel"), st.integers(0, 99)),
        st.tuples(st.just("revise"), st.integers(1, 2000)),
        st.tuples(st.just("policy"), st.sampled_from(["boost", "fcfs"])),
        st.tuples(st.just("calibrate"), st.just(0)),
    ),
    max_size=80,
)


@given(events, st.sampled_from(["boost", "fcfs"]))
def test_the_scale_is_bounded_whatever_happens(sequence, policy) -> None:
    scheduler = Scheduler(SchedulerSettings(policy=policy, cost=COST))
    scheduler.set_backend(Backend("x", 2, cost=COST), 0.0)
    now_s, added = 0.0, 0
    for kind, value in sequence:
        live = list(scheduler.requests.values())
        running = [one for one in live if one.state is State.RUNNING]
        if kind == "add":
            tier = Tier(added % 3)
            scheduler.add(request(f"r{added}", value, now_s, tier=tier), now_s)
            added += 1
        elif kind == "wait":
            now_s += value
        elif kind == "finish" and running:
            scheduler.finish(running[value % len(running)].id, now_s)
        elif kind == "cancel" and live:
            scheduler.cancel(live[value % len(live)].id, now_s)
        elif kind == "revise" and live:
            estimate = request("x", value).estimate
            scheduler.revise(live[value % len(live)].id, estimate, None, now_s)
        elif kind == "policy":
            scheduler.use_policy(str(value), now_s)
        elif kind == "calibrate":
            scheduler.calibrate(COST, now_s)
        scheduler.step(now_s)
        if scheduler.tail is not None:
            # No request can have had a latency above the present time, in either order.
            assert LEAST_SCALE_S <= scheduler.tail.scale_s <= SCALE_OF_ROOM * 1.15 * (now_s + 1e6)
    for one in list(scheduler.requests.values()):
        scheduler.cancel(one.id, now_s)
    scheduler.use_policy("boost", now_s)
    assert scheduler.tail is not None and scheduler.tail.live == 0


def test_a_clock_that_jumps_does_not_undo_the_promise() -> None:
    policy = Boost(SchedulerSettings(policy="boost", cost=COST))
    keeper = policy.tail
    assert keeper is not None
    now_s = 0.0
    for number in range(2000):
        if number == 1000:
            now_s += 86_400.0
        now_s += 1.0
        one = request(f"r{number}", 100, now_s)
        one.service_s, one.output_tokens = COST.service_s(one), 100
        keeper.arrived(one)
        one.started_s = now_s
        keeper.started(one, now_s)
        keeper.finished(one, now_s + 1.0)
    assert policy.scale_s == keeper.scale_s <= SCALE_OF_ROOM * (1.0 + AIM) * 2.0


def test_an_idle_tier_does_not_hold_back_the_others() -> None:
    keeper = TailKeeper(1.15, COST, lambda scale_s: None)
    for number in range(400):
        tier = Tier.BATCH if number < 100 else Tier.STANDARD
        one = request(f"r{number}", 1 if number < 100 else 1000, float(number), tier=tier)
        one.service_s, one.output_tokens = COST.service_s(one), int(one.estimate.mean)
        keeper.arrived(one)
        one.started_s = float(number)
        keeper.started(one, float(number))
        keeper.finished(one, number + one.service_s)
    waiting = request("waits", 1000, 400.0)
    waiting.service_s = COST.service_s(waiting)
    keeper.arrived(waiting)
    for number in range(LEAST_EVERY):
        one = request(f"s{number}", 1000, 400.0)
        one.service_s = COST.service_s(one)
        keeper.arrived(one)
        one.started_s = 400.0
        keeper.started(one, 400.0)
    assert keeper.scale_s > 1.0


def test_a_fixed_scale_promises_nothing() -> None:
    settings = SchedulerSettings(policy="boost", cost=COST, boost=BoostSettings(scale_s=3.0))
    assert Scheduler(settings).tail is None


def burst(policy: str, count: int = 120) -> list[float]:
    """Latencies of requests that all come at once to a scheduler that has seen none before."""
    rng = Random(2)
    scheduler = Scheduler(SchedulerSettings(policy=policy, cost=COST))
    scheduler.set_backend(Backend("x", SLOTS, cost=COST), 0.0)
    events = [(0.0, f"r{number}", 1 + int(rng.expovariate(1 / 100))) for number in range(count)]
    latencies = []
    for _, name, length in events:
        longer = SizeEstimate((length, 100 * length), (0.999, 0.001))
        scheduler.add(replace(request(name, length, 0.0), estimate=longer), 0.0)
    ends: list[tuple[float, str]] = []
    now_s = 0.0
    while True:
        for decision in scheduler.step(now_s):
            length = decision.request.estimate.tokens[0]
            heappush(ends, (now_s + length * COST.decode_s_per_token, decision.request.id))
        if not ends:
            return latencies
        now_s, name = heappop(ends)
        scheduler.progress(name, scheduler.requests[name].estimate.tokens[0], now_s)
        scheduler.finish(name, now_s)
        latencies.append(now_s)


def test_a_first_burst_gains_before_anything_is_known() -> None:
    fcfs, boost, sjf = burst("fcfs"), burst("boost"), burst("sjf")
    assert mean(boost) <= mean(fcfs) - 0.5 * (mean(fcfs) - mean(sjf))
    assert p99(boost) <= 1.15 * p99(fcfs)
