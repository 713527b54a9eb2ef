"""Admission, deadlines, tiers, lost backends and new predictions, by example."""

from dataclasses import replace

import pytest
from tests.core.test_policies import COST, request, scheduler

from headway.core.backend import Backend
from headway.core.cost import CostModel
from headway.core.decision import Reject, RejectReason, Start
from headway.core.estimate import SizeEstimate
from headway.core.request import State, Tier
from headway.core.settings import TierSettings


def started(decisions: list) -> list[str]:
    return [decision.request.id for decision in decisions if isinstance(decision, Start)]


def test_a_full_queue_rejects_and_returns_when_to_retry() -> None:
    schedule = scheduler("fcfs", tiers={Tier.STANDARD: TierSettings(max_queue=2)})
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    for index in range(3):
        assert schedule.add(request(f"r{index}", 1000), 0.0) is None
        schedule.step(0.0)
    rejection = schedule.add(request("r3", 1000), 0.0)
    assert rejection is not None
    assert rejection.reason is RejectReason.QUEUE_FULL
    # Two wait with about 10 s of work each, for one slot.
    assert rejection.retry_after_s == pytest.approx(20.0, rel=0.01)
    assert schedule.add(request("other tier", tier=Tier.BATCH), 0.0) is None


def test_a_limit_of_zero_still_takes_a_request_that_starts_at_once() -> None:
    schedule = scheduler("fcfs", max_queue=0)
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    assert schedule.add(request("first"), 0.0) is None
    schedule.step(0.0)
    assert schedule.add(request("second"), 0.0) is not None


def test_a_deadline_shorter_than_the_work_is_refused_at_once() -> None:
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    rejection = schedule.add(request("r", 1000, deadline_s=1.0), 0.0)
    assert rejection is not None and rejection.reason is RejectReason.DEADLINE


def test_a_deadline_behind_a_long_queue_is_refused_at_once_with_the_wait() -> None:
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    for index in range(11):
        schedule.add(request(f"r{index}", 1000), 0.0)
    schedule.step(0.0)
    rejection = schedule.add(request("urgent", 10, deadline_s=20.0), 0.0)
    assert rejection is not None
    assert rejection.predicted_wait_s == pytest.approx(110.0, rel=0.05)


def test_the_same_deadline_is_fine_if_the_policy_puts_it_first() -> None:
    for policy in ("srpt", "edf"):
        schedule = scheduler(policy)
        schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
        for index in range(11):
            schedule.add(request(f"r{index}", 1000), 0.0)
        schedule.step(0.0)
        assert schedule.add(request("urgent", 10, deadline_s=20.0), 0.0) is None


def test_a_deadline_missed_in_the_queue_is_rejected_at_that_moment() -> None:
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    schedule.add(request("runs", 100), 0.0)
    schedule.step(0.0)
    waits = request("waits", 100, deadline_s=5.0)
    assert schedule.add(waits, 0.0) is None
    wakeup_s = schedule.next_wakeup_s(0.0)
    assert wakeup_s is not None
    decisions = []
    while wakeup_s is not None and not decisions:
        decisions = schedule.step(wakeup_s)
        wakeup_s = schedule.next_wakeup_s(wakeup_s)
    assert isinstance(decisions[0], Reject)
    assert waits.state is State.REJECTED


def test_a_missed_deadline_may_be_downgraded_instead() -> None:
    schedule = scheduler("fcfs", on_missed_deadline="downgrade")
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    hopeless = request("r", 1000, deadline_s=1.0)
    assert schedule.add(hopeless, 0.0) is None
    assert (hopeless.tier, hopeless.deadline_s) == (Tier.BATCH, None)


def test_a_request_that_fits_no_backend_is_refused() -> None:
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("x", 4, kv_tokens=500, cost=COST), 0.0)
    rejection = schedule.add(request("r", 1000), 0.0)
    assert rejection is not None and rejection.reason is RejectReason.TOO_LARGE


def test_tiers_are_strict_by_default() -> None:
    schedule = scheduler("fcfs")
    for tier in reversed(Tier):
        schedule.add(request(tier.label, tier=tier), 0.0)
    schedule.set_backend(Backend("x", 3, cost=COST), 0.0)
    assert started(schedule.step(0.0)) == ["interactive", "standard", "batch"]


def test_a_waiting_request_can_be_moved_to_another_tier() -> None:
    schedule = scheduler("fcfs", tiers={Tier.BATCH: TierSettings(max_wait_s=9.0)})
    first, second = request("first", tier=Tier.STANDARD), request("second", tier=Tier.BATCH)
    for one in (first, second):
        schedule.add(one, 0.0)
    schedule.move("second", Tier.INTERACTIVE, 1.0)
    assert second.due_s == 9.0, "what its first tier promised still holds"
    assert [schedule.waiting(tier) for tier in Tier] == [1, 1, 0]
    schedule.set_backend(Backend("x", 1, cost=COST), 1.0)
    assert started(schedule.step(1.0)) == ["second"]
    with pytest.raises(ValueError, match="runs already"):
        schedule.move("second", Tier.BATCH, 1.0)
    with pytest.raises(ValueError, match="not known"):
        schedule.move("none", Tier.BATCH, 1.0)


def test_weighted_tiers_get_service_by_weight() -> None:
    """llm-d-router#1995."""
    weights = {Tier.INTERACTIVE: 3.0, Tier.STANDARD: 1.0, Tier.BATCH: 1.0}
    schedule = scheduler(
        "fcfs",
        tier_mode="weighted",
        tiers={tier: TierSettings(weight=weight) for tier, weight in weights.items()},
    )
    for index in range(100):
        for tier in (Tier.INTERACTIVE, Tier.BATCH):
            schedule.add(request(f"{tier.label}{index}", tier=tier), 0.0)
    schedule.set_backend(Backend("x", 40, cost=COST), 0.0)
    first = started(schedule.step(0.0))
    assert sum(name.startswith("interactive") for name in first) == 30


def test_a_prompt_counts_once_for_each_slot_it_delays() -> None:
    """0.1 s of prompt and 0.1 s of answer, against 0.3 s of answer."""
    order = {}
    for held_slots in (1.0, 4.0):
        schedule = scheduler("sjf")
        schedule.calibrate(replace(COST, held_slots=held_slots), 0.0)
        schedule.add(request("reads", 10, prompt_tokens=100), 0.0)
        schedule.add(request("writes", 30), 0.0)
        schedule.set_backend(Backend("x", 2, cost=COST), 0.0)
        order[held_slots] = started(schedule.step(0.0))
    assert order == {1.0: ["reads", "writes"], 4.0: ["writes", "reads"]}


def test_requests_of_a_removed_backend_continue_elsewhere_in_their_old_places() -> None:
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    schedule.add(request("first"), 0.0)
    schedule.add(request("second"), 0.0)
    schedule.step(0.0)
    schedule.progress("first", 7, 1.0)
    assert [orphan.id for orphan in schedule.remove_backend("x", 1.0)] == ["first"]
    schedule.set_backend(Backend("y", 1, cost=COST), 2.0)
    (start,) = schedule.step(2.0)
    assert (start.request.id, start.backend, start.request.output_tokens) == ("first", "y", 7)


def test_a_backend_with_fewer_slots_finishes_what_it_runs() -> None:
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("x", 2, cost=COST), 0.0)
    for index in range(3):
        schedule.add(request(f"r{index}"), 0.0)
    schedule.step(0.0)
    schedule.set_backend(Backend("x", 1, cost=COST), 1.0)
    schedule.finish("r0", 2.0)
    assert schedule.step(2.0) == []
    schedule.finish("r1", 3.0)
    assert started(schedule.step(3.0)) == ["r2"]


@pytest.mark.parametrize("policy", ["srpt", "hrrn"])
def test_waiting_requests_are_ranked_anew_when_the_cost_is_measured(policy) -> None:
    schedule = scheduler(policy)
    schedule.add(request("reads", 10, prompt_tokens=1000), 0.0)
    schedule.add(request("writes", 50), 0.0)
    schedule.calibrate(CostModel(prefill_s_per_token=0.00001, decode_s_per_token=0.01), 0.0)
    schedule.set_backend(Backend("x", 1, cost=COST), 1.0)
    assert started(schedule.step(1.0)) == ["reads"]


@pytest.mark.parametrize("event", ["finish", "requeue"])
def test_events_that_cannot_happen_are_refused(event) -> None:
    schedule = scheduler("fcfs")
    with pytest.raises(ValueError, match="'nobody' is not known"):
        getattr(schedule, event)("nobody", 0.0)
    schedule.add(request("r"), 0.0)
    with pytest.raises(ValueError, match="'r' is waiting"):
        getattr(schedule, event)("r", 0.0)


def test_progress_is_reported_as_the_total() -> None:
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    schedule.add(request("r"), 0.0)
    schedule.step(0.0)
    schedule.progress("r", 5, 0.1)
    with pytest.raises(ValueError, match="5 output tokens already"):
        schedule.progress("r", 4, 0.2)


def test_an_id_is_used_once() -> None:
    schedule = scheduler("fcfs")
    schedule.add(request("r"), 0.0)
    with pytest.raises(ValueError, match="in use"):
        schedule.add(request("r"), 0.0)


def test_a_new_prediction_moves_a_waiting_request() -> None:
    schedule = scheduler("sjf")
    schedule.add(request("a", 100), 0.0)
    schedule.add(request("b", 200), 0.0)
    schedule.revise("b", SizeEstimate.exactly(10), 3.3, 1.0)
    schedule.set_backend(Backend("x", 1, cost=COST), 1.0)
    assert started(schedule.step(1.0)) == ["b"]
    assert schedule.outlook.backlog_s() == pytest.approx(COST.service_s(schedule.requests["a"]))


def test_a_new_prediction_may_cost_a_running_request_its_slot() -> None:
    schedule = scheduler("srpt")
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    schedule.add(request("runs", 50), 0.0)
    schedule.step(0.0)
    schedule.progress("runs", 10, 1.0)
    schedule.add(request("waits", 200, 1.0), 1.0)
    assert schedule.step(1.0) == []
    schedule.revise("runs", SizeEstimate.exactly(5000), None, 2.0)
    assert schedule.backends["x"].work_tokens == 4990
    assert started(schedule.step(2.0)) == ["waits"]
    assert schedule.requests["runs"].predicted_tokens == 50


def test_a_new_prediction_never_postpones_a_due_time() -> None:
    tiers = {Tier.STANDARD: TierSettings(max_slowdown=10.0)}
    schedule = scheduler("srpt", tiers=tiers)
    one = request("one", 100)
    schedule.add(one, 0.0)
    promised_s = one.due_s
    schedule.revise("one", SizeEstimate.exactly(1000), None, 1.0)
    assert one.due_s == promised_s
    schedule.revise("one", SizeEstimate.exactly(10), None, 2.0)
    assert one.due_s < promised_s


def test_a_false_claim_leaves_no_trace_after_its_revision() -> None:
    tiers = {Tier.STANDARD: TierSettings(max_slowdown=10.0)}
    schedule = scheduler("srpt", tiers=tiers)
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    schedule.add(request("runs", 1), 0.0)
    schedule.step(0.0)
    schedule.progress("runs", 20, 0.2)
    schedule.add(request("waits", 1), 0.2)
    honest = request("honest", 500)
    schedule.add(honest, 0.2)
    for name in ("runs", "waits"):
        schedule.revise(name, SizeEstimate.exactly(500), None, 0.3, from_start=True)
        assert schedule.requests[name].due_s == honest.due_s
        assert schedule.requests[name].predicted_tokens == 500


def test_a_request_that_outlives_its_estimate_does_not_rank_as_nearly_done() -> None:
    for policy in ("srpt", "gittins", "trail"):
        schedule = scheduler(policy)
        schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
        schedule.add(request("claims 1", 1), 0.0)
        schedule.step(0.0)
        schedule.progress("claims 1", 500, 5.0)
        schedule.revise("claims 1", SizeEstimate.exactly(600), None, 5.0, from_start=True)
        schedule.add(request("short", 20, 5.0), 5.0)
        decided = schedule.step(5.0)
        # trail judges how far a request has come by the new prediction, not by the claim.
        assert started(decided) == ([] if policy == "trail" else ["short"])


@pytest.mark.parametrize("fairness", ["vtc", "drr"])
def test_a_new_rank_costs_a_tenant_no_turn(fairness) -> None:
    def order(revised: bool) -> list[str]:
        schedule = scheduler("fcfs", fairness=fairness)
        for number in range(6):
            schedule.add(request(f"{number}", 50 * (1 + number % 3), tenant="ab"[number % 2]), 0.0)
        schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
        found = []
        while schedule.requests:
            (name,) = started(schedule.step(1.0))
            found.append(name)
            schedule.progress(name, 60, 1.0)
            schedule.finish(name, 1.0)
            for other in list(schedule.requests.values()) if revised else ():
                schedule.revise(other.id, other.estimate, None, 1.0)
        return found

    assert order(revised=True) == order(revised=False)


def test_a_prediction_that_comes_too_late_is_ignored() -> None:
    schedule = scheduler("sjf")
    schedule.revise("gone", SizeEstimate.exactly(10), None, 0.0)
    assert not schedule.requests


def test_a_request_that_is_handed_over_continues_elsewhere_with_its_tokens() -> None:
    here, there = scheduler("srpt"), scheduler("srpt", max_queue=0)
    here.set_backend(Backend("x", 1, cost=COST), 0.0)
    here.add(request("r", 100), 0.0)
    here.step(0.0)
    here.progress("r", 70, 1.0)
    moved = here.hand_over("r", 1.0)
    assert not here.requests
    assert here.running() == 0
    assert there.add(moved, 1.0) is None, "its client has part of the answer: too late to refuse it"
    assert there.outlook.backlog_s() == pytest.approx(0.3)
    there.set_backend(Backend("y", 1, cost=COST), 2.0)
    assert started(there.step(2.0)) == ["r"]
    assert (moved.output_tokens, moved.started_s, moved.arrival_s) == (70, 0.0, 0.0)
    there.finish("r", 3.0)


def test_what_is_not_known_here_is_refused_by_name() -> None:
    schedule = scheduler("fcfs")
    with pytest.raises(ValueError, match=r"'r' is not known"):
        schedule.hand_over("r", 0.0)
    with pytest.raises(ValueError, match=r"no backend 'x'; there are: none"):
        schedule.remove_backend("x", 0.0)


def test_a_waiting_request_that_is_handed_over_never_starts_here() -> None:
    here = scheduler("sjf")
    here.add(request("short", 1), 0.0)
    here.add(request("long", 100), 0.0)
    here.hand_over("short", 0.0)
    here.set_backend(Backend("x", 2, cost=COST), 0.0)
    assert started(here.step(0.0)) == ["long"]


def test_another_policy_reorders_waiting_requests() -> None:
    schedule = scheduler("fcfs")
    schedule.add(request("long", 900), 0.0)
    schedule.add(request("short", 5, 1.0), 1.0)
    with pytest.raises(ValueError, match="unknown policy 'sprt'"):
        schedule.use_policy("sprt", 2.0)
    schedule.use_policy("sjf", 2.0)
    assert schedule.policy_name == "sjf"
    schedule.set_backend(Backend("x", 1, cost=COST), 2.0)
    assert started(schedule.step(2.0)) == ["short"]
