"""When a running request yields its slot, and what it keeps."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.core.test_policies import COST, request, scheduler

from headway.core.backend import Backend
from headway.core.cost import CostModel
from headway.core.decision import Preempt
from headway.core.estimate import SizeEstimate
from headway.core.exchange import Exchange
from headway.core.policies import POLICIES
from headway.core.preemption import PreemptionRule
from headway.core.request import Request, State, Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import INFINITE, PreemptionSettings, SchedulerSettings, TierSettings
from headway.core.tiers import tier_order
from headway.core.waiting import Waiting


def one_slot(policy: str = "srpt", cost: CostModel = COST, **settings) -> Scheduler:
    schedule = scheduler(policy, **settings)
    schedule.set_backend(Backend("x", 1, cost=cost), 0.0)
    return schedule


def run(schedule: Scheduler, one: Request, tokens: int = 1, until_s: float = 1.0) -> None:
    schedule.add(one, 0.0)
    schedule.step(0.0)
    schedule.progress(one.id, tokens, until_s)


def stopped(schedule: Scheduler, by: Request, now_s: float = 1.0) -> list[str]:
    schedule.add(by, now_s)
    return [d.request.id for d in schedule.step(now_s) if isinstance(d, Preempt)]


def test_no_preemption_for_a_gain_below_the_cost_of_the_backend() -> None:
    for preempt_s, expected in ((0.05, ["long"]), (5.0, [])):
        schedule = one_slot(cost=CostModel(0.001, 0.01, preempt_s))
        run(schedule, request("long", 900))
        assert stopped(schedule, request("short", 5, 1.0)) == expected


def test_recomputing_the_context_counts_as_cost() -> None:
    for share, expected in ((0.0, ["long"]), (1.0, [])):
        cost = CostModel(0.001, 0.01, 0.05, recompute_share=share)
        schedule = one_slot(cost=cost)
        long = request("long", 900)
        long.prompt_tokens = 9000
        run(schedule, long)
        assert stopped(schedule, request("short", 5, 1.0)) == expected


def test_two_requests_that_arrive_together_both_take_a_slot_at_once() -> None:
    schedule = scheduler("srpt")
    schedule.set_backend(Backend("x", 2, cost=COST), 0.0)
    for name in ("one", "two"):
        run(schedule, request(name, 900))
    for name, tokens in (("short", 100), ("less short", 120)):
        schedule.add(request(name, tokens, 1.0), 1.0)
    assert sum(isinstance(d, Preempt) for d in schedule.step(1.0)) == 2


def test_a_request_about_to_end_is_not_stopped_even_for_a_higher_tier() -> None:
    schedule = one_slot()
    run(schedule, request("ending", 100, tier=Tier.BATCH), tokens=95)
    assert stopped(schedule, request("chat", 5, 1.0, tier=Tier.INTERACTIVE)) == []


def test_a_request_that_just_started_is_not_stopped_yet() -> None:
    schedule = one_slot(preemption=PreemptionSettings(min_run_s=0.5))
    run(schedule, request("long", 900), until_s=0.1)
    assert stopped(schedule, request("short", 5, 0.1), now_s=0.1) == []
    wakeup_s = schedule.next_wakeup_s(0.1)
    assert wakeup_s == pytest.approx(0.6)
    assert str(schedule.step(wakeup_s)[0]) == "preempt long on x"


def test_after_max_preemptions_a_request_runs_to_its_end() -> None:
    schedule = one_slot(preemption=PreemptionSettings(max_preemptions=2, min_run_s=0.0))
    long = request("long", 5000)
    run(schedule, long)
    for index in range(3):
        now_s = 2.0 + index
        stopped(schedule, request(f"short{index}", 5, now_s), now_s)
        for one in [r for r in schedule.requests.values() if r.state is State.RUNNING]:
            if one is not long:
                schedule.finish(one.id, now_s)
        schedule.step(now_s)
        schedule.progress("long", long.output_tokens + 1, now_s)
    assert long.preemptions == 2
    assert long.state is State.RUNNING


def test_a_run_without_a_token_is_not_stopped() -> None:
    schedule = one_slot(preemption=PreemptionSettings(min_run_s=0.0))
    run(schedule, request("prefills", 900, tier=Tier.BATCH), tokens=0)
    assert stopped(schedule, request("chat", 5, 1.0, tier=Tier.INTERACTIVE)) == []
    schedule.progress("prefills", 1, 2.0)
    assert [str(decision) for decision in schedule.step(2.0)][:1] == ["preempt prefills on x"]


def test_trails_limit_protects_a_request_beyond_c_times_its_prediction() -> None:
    for tokens, expected in ((100, ["long"]), (850, [])):
        schedule = one_slot(preemption=PreemptionSettings(trail_c=0.8))
        run(schedule, request("long", 1000), tokens=tokens)
        assert stopped(schedule, request("short", 1, 1.0)) == expected


def test_a_request_that_cannot_be_continued_exactly_is_never_stopped() -> None:
    schedule = one_slot()
    run(schedule, request("tools", 900, preemptible=False, tier=Tier.BATCH))
    assert stopped(schedule, request("chat", 1, 1.0, tier=Tier.INTERACTIVE)) == []


def test_preemption_can_be_switched_off() -> None:
    schedule = one_slot(preemption=PreemptionSettings(enabled=False))
    run(schedule, request("long", 900, tier=Tier.BATCH))
    assert stopped(schedule, request("chat", 1, 1.0, tier=Tier.INTERACTIVE)) == []
    assert schedule.next_wakeup_s(1.0) is None


def test_a_higher_tier_stops_the_lowest_one_under_any_policy() -> None:
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("x", 2, cost=COST), 0.0)
    schedule.add(request("standard", 900), 0.0)
    schedule.add(request("batch", 900, tier=Tier.BATCH), 0.0)
    schedule.step(0.0)
    for name in ("standard", "batch"):
        schedule.progress(name, 1, 0.5)
    assert stopped(schedule, request("chat", 500, 1.0, tier=Tier.INTERACTIVE)) == ["batch"]


def test_weighted_tiers_do_not_stop_each_other() -> None:
    schedule = one_slot("fcfs", tier_mode="weighted")
    run(schedule, request("batch", 900, tier=Tier.BATCH))
    assert stopped(schedule, request("chat", 5, 1.0, tier=Tier.INTERACTIVE)) == []


def test_a_preempted_request_keeps_its_place_and_its_tokens() -> None:
    """vllm#41951."""
    schedule = one_slot("fcfs")
    first = request("first", 900, tier=Tier.BATCH)
    run(schedule, first, tokens=40)
    schedule.add(request("second", 900, 0.5, tier=Tier.BATCH), 0.5)
    assert stopped(schedule, request("chat", 5, 1.0, tier=Tier.INTERACTIVE)) == ["first"]
    schedule.finish("chat", 2.0)
    assert [str(decision) for decision in schedule.step(2.0)] == ["start first on x"]
    assert (first.output_tokens, first.started_s, first.resumed_s) == (40, 0.0, 2.0)


def test_a_due_request_is_not_stopped() -> None:
    tiers = {Tier.BATCH: TierSettings(max_wait_s=0.5)}
    schedule = one_slot("fcfs", tiers=tiers)
    run(schedule, request("batch", 900, tier=Tier.BATCH))
    assert stopped(schedule, request("chat", 5, 1.0, tier=Tier.INTERACTIVE)) == []


def test_a_stopped_request_may_be_the_first_that_waits_in_its_lane() -> None:
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("x", 1, frozenset({"m", "n"}), cost=COST), 0.0)
    run(schedule, request("batch", 900, tier=Tier.BATCH, lane="m"))
    schedule.use_policy("srpt", 1.0)
    assert stopped(schedule, request("chat", 5, 1.0, tier=Tier.INTERACTIVE, lane="n")) == ["batch"]


sizes, tiers = st.integers(1, 400), st.sampled_from(Tier)
deadlines = st.none() | st.floats(0.0, 100.0)


@given(
    st.sampled_from(sorted(POLICIES)),
    st.booleans(),
    st.lists(st.tuples(sizes, sizes, tiers, deadlines, st.integers(-1, 1)), max_size=8),
    st.lists(st.tuples(sizes, tiers, deadlines, st.booleans()), min_size=1, max_size=4),
)
@example("ltr", False, [(1, 13, Tier.INTERACTIVE, None, 0)], [(1, Tier.INTERACTIVE, None, False)])
def test_requests_left_out_for_one_yield_to_no_less_urgent_one(
    policy, tiers_preempt, running, waiting
) -> None:
    settings = SchedulerSettings(policy=policy, cost=COST)
    order = POLICIES[policy](settings)
    queue = Waiting(order, tier_order(settings), None, by_tenant=False)
    rule = PreemptionRule(settings.preemption, order, tiers_preempt)
    backend = Backend("x", len(running), cost=COST)
    for number, (tokens, produced, tier, deadline_s, priority) in enumerate(running):
        one = request(str(number), tokens, tier=tier, deadline_s=deadline_s, priority=priority)
        one.sequence = number
        backend.take(one)
        one.output_tokens = produced

    def urgency(one: Request) -> tuple[bool, Tier, float]:
        return one.due_s > 1.0, one.tier, order.rank(one)

    arrived = []
    for tokens, tier, deadline_s, due in waiting:
        one = request("waits", tokens, tier=tier, deadline_s=deadline_s)
        one.due_s = 1.0 if due else INFINITE
        arrived.append(one)
    most_urgent = request("due")
    most_urgent.due_s = 1.0
    arrived.sort(key=urgency)
    for sequence, one in enumerate(arrived):
        one.sequence = sequence
        queue.push(one)
    exchange = Exchange(order, queue, [backend])
    candidates = rule.candidates([backend], arrived[0], 1.0)
    all_of_them = rule.candidates([backend], most_urgent, 1.0)
    for one in arrived:
        found = rule.victim(one, candidates, exchange, 1.0)
        assert found is rule.victim(one, all_of_them, exchange, 1.0)


@pytest.mark.parametrize("policy", ["edf", "slack", "urgency"])
def test_a_deadline_is_no_reason_to_stop_a_request_unless_that_saves_it(policy: str) -> None:
    for deadline_s, of_running_s, expected in (
        (6.0, None, ["long"]),  # it would be late if it waited for the slot
        (6.0, 100.0, ["long"]),
        (60.0, None, []),  # the slot is free in time
        (6.0, 10.0, []),  # the one that runs would be late instead
    ):
        schedule = one_slot(policy)
        run(schedule, request("long", 900, deadline_s=of_running_s))
        assert stopped(schedule, request("short", 5, 1.0, deadline_s=deadline_s)) == expected


def test_what_its_run_does_after_it_counts_against_its_deadline() -> None:
    for after_ms, expected in ((1, []), (20_000, ["long"])):
        schedule = one_slot("slack")
        run(schedule, request("long", 900))
        step = request("step", 5, 1.0, deadline_s=25.0)
        step.to_come = SizeEstimate.exactly(after_ms)
        assert stopped(schedule, step) == expected
