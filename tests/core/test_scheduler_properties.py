"""What holds for every event sequence, whatever the settings."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.drive import (
    COST,
    Driver,
    event_lists,
    settings_of_every_kind,
    tight_events,
    tight_settings,
    tight_slots,
)
from tests.deep import examples

from headway.core.backend import Backend
from headway.core.estimate import SizeEstimate
from headway.core.fairness import OUTPUT_WEIGHT, PROMPT_WEIGHT
from headway.core.policies import POLICIES
from headway.core.request import Request, State, Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings


@settings(max_examples=examples(500), deadline=None)
@given(settings_of_every_kind, event_lists)
def test_every_promise_holds_after_every_event(chosen, events) -> None:
    """The driver checks capacity, caps, starvation bound, work conservation and lost requests."""
    driver = Driver(chosen)
    driver.play(events)
    driver.drain()


@settings(max_examples=examples(400), deadline=None)
@given(tight_settings, tight_slots, tight_events)
def test_every_promise_holds_where_caps_due_times_and_preemption_meet(chosen, slots, events):
    driver = Driver(chosen, slots=slots)
    driver.play(events)
    driver.drain()


@settings(max_examples=examples(60), deadline=None)
@given(settings_of_every_kind, event_lists)
def test_one_event_log_gives_one_decision_log(chosen, events) -> None:
    logs = []
    for _ in range(2):
        driver = Driver(chosen)
        driver.play(events)
        logs.append("\n".join(driver.log).encode())
    assert logs[0] == logs[1]


@settings(max_examples=examples(50), deadline=None)
@given(st.sampled_from(sorted(POLICIES)), st.integers(1, 4), st.integers(2, 20))
def test_equal_requests_start_in_order_of_arrival(policy, slots, count) -> None:
    scheduler = Scheduler(SchedulerSettings(policy=policy, cost=COST))
    estimate = SizeEstimate.exactly(50)
    order = []
    for index in range(count):
        scheduler.add(Request(f"r{index}", 1.0, 10, estimate), 1.0)
    scheduler.set_backend(Backend("x", slots), 1.0)
    now_s = 1.0
    while scheduler.requests:
        started = [decision.request for decision in scheduler.step(now_s)]
        order += [request.id for request in started]
        now_s += 1.0
        for request in [r for r in scheduler.requests.values() if r.state is State.RUNNING]:
            scheduler.finish(request.id, now_s)
    assert order == [f"r{index}" for index in range(count)]


@settings(max_examples=examples(20), deadline=None)
@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=20, max_size=60),
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=20, max_size=60),
)
def test_vtc_bounds_the_difference_in_service_of_two_backlogged_tenants(slots, of_a, of_b) -> None:
    """At most 2 max(w_p L_in, w_q M), M the output tokens a full batch may hold (Sheng et al.)."""
    scheduler = Scheduler(SchedulerSettings(policy="fcfs", fairness="vtc", cost=COST))
    scheduler.set_backend(Backend("x", slots), 0.0)
    facts = {}
    for tenant, sizes in (("a", of_a), ("b", of_b)):
        for index, (prompt, output) in enumerate(sizes):
            request = Request(
                f"{tenant}{index}", 0.0, prompt, SizeEstimate.exactly(output), tenant=tenant
            )
            facts[request.id] = (request, output)
            scheduler.add(request, 0.0)
    longest_prompt = max(size[0] for size in of_a + of_b)
    longest_output = max(size[1] for size in of_a + of_b)
    bound = 2 * max(PROMPT_WEIGHT * longest_prompt, OUTPUT_WEIGHT * slots * longest_output)
    bound += PROMPT_WEIGHT * slots * longest_prompt
    service = {"a": 0.0, "b": 0.0}
    now_s = 0.0
    while True:
        for decision in scheduler.step(now_s):
            service[decision.request.tenant] += PROMPT_WEIGHT * decision.request.prompt_tokens
        waiting = {r.tenant for r, _ in facts.values() if r.state is State.WAITING}
        if waiting != {"a", "b"}:
            break
        assert abs(service["a"] - service["b"]) <= bound
        now_s += 0.02
        for request, output in facts.values():
            if request.state is State.RUNNING:
                scheduler.progress(request.id, request.output_tokens + 1, now_s)
                service[request.tenant] += OUTPUT_WEIGHT
                if request.output_tokens >= output:
                    scheduler.finish(request.id, now_s)


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(5, 12), st.integers(1, 4))
def test_drr_gives_backlogged_tenants_equal_shares(output, slots) -> None:
    scheduler = Scheduler(SchedulerSettings(policy="fcfs", fairness="drr", cost=COST))
    scheduler.set_backend(Backend("x", slots), 0.0)
    # Tenant a sends ten times as many requests as b.
    for index in range(600):
        tenant = "b" if index % 11 == 0 else "a"
        scheduler.add(
            Request(f"r{index}", 0.0, 40, SizeEstimate.exactly(output), tenant=tenant), 0.0
        )
    served = {"a": 0, "b": 0}
    now_s = 0.0
    while any(r.tenant == "b" and r.state is State.WAITING for r in scheduler.requests.values()):
        for decision in scheduler.step(now_s):
            served[decision.request.tenant] += 1
        for request in [r for r in scheduler.requests.values() if r.state is State.RUNNING]:
            scheduler.progress(request.id, output, now_s)
            scheduler.finish(request.id, now_s)
        now_s += 1.0
    # One quantum (512 weighted tokens) is at most 512 / 50 requests, and one batch.
    assert abs(served["a"] - served["b"]) <= 2 * 512 // 50 + slots + 1


@settings(max_examples=examples(30), deadline=None)
@given(st.sampled_from([State.WAITING, State.RUNNING, State.PREEMPTED]), st.sampled_from(Tier))
def test_a_request_can_be_cancelled_in_every_state(state, tier) -> None:
    scheduler = Scheduler(SchedulerSettings(policy="srpt", cost=COST))
    request = Request("r", 0.0, 10, SizeEstimate.exactly(1000), tier=tier)
    scheduler.add(request, 0.0)
    scheduler.set_backend(Backend("x", 0 if state is State.WAITING else 1), 0.0)
    scheduler.step(0.0)
    if state is State.PREEMPTED:
        scheduler.progress("r", 1, 4.0)
        scheduler.add(Request("short", 5.0, 1, SizeEstimate.exactly(1), tier=tier), 5.0)
        scheduler.step(5.0)
    assert request.state is state
    scheduler.cancel("r", 6.0)
    assert request.state is State.CANCELLED
    assert "r" not in scheduler.requests
    scheduler.cancel("r", 6.0)
    scheduler.set_backend(Backend("x", 2), 6.0)
    assert all(decision.request is not request for decision in scheduler.step(7.0))
