"""The request that takes the slot of another is next once that one has left."""

from tests.core.test_policies import COST, request, scheduler

from headway.core.backend import Backend
from headway.core.request import Request, Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import TierSettings

DUE_AFTER_1_S = {Tier.STANDARD: TierSettings(max_wait_s=1.0)}


def decided(schedule: Scheduler, now_s: float) -> list[str]:
    return [str(decision) for decision in schedule.step(now_s)]


def runs(schedule: Scheduler, *requests: Request) -> None:
    """They start at 0 s and have a token at 0.1 s."""
    for one in requests:
        schedule.add(one, 0.0)
    schedule.step(0.0)
    for one in requests:
        schedule.progress(one.id, 1, 0.1)


def test_the_cap_of_a_tenant_counts_without_the_stopped_request() -> None:
    schedule = scheduler("srpt", tenant_max_running=1, tiers=DUE_AFTER_1_S)
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    runs(schedule, request("r1", 900, tenant="C", tier=Tier.BATCH))
    schedule.add(request("r3", 50, 0.1, tenant="C"), 0.1)
    schedule.add(request("r2", 5, 1.0, tenant="A"), 1.0)
    schedule.progress("r1", 2, 3.0)
    # r3 is due since 1.1 s and r2 since 2 s.
    assert decided(schedule, 3.0) == ["preempt r1 on x", "start r3 on x"]


def test_the_cap_of_a_tier_counts_without_the_stopped_request() -> None:
    tiers = {Tier.STANDARD: TierSettings(max_wait_s=1.0, max_running=1)}
    schedule = scheduler("srpt", tiers=tiers)
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    long = request("r1", 900)
    runs(schedule, long)
    long.due_s = 1e6  # it has not waited
    schedule.add(request("due first", 50, 0.1), 0.1)
    schedule.add(request("lower", 5, 1.0, tier=Tier.BATCH), 1.0)
    assert decided(schedule, 3.0) == ["preempt r1 on x", "start due first on x"]


def test_a_tenant_at_its_cap_gives_its_own_slot_to_its_more_urgent_request() -> None:
    schedule = scheduler("fcfs", tenant_max_running=1)
    schedule.set_backend(Backend("x", 2, cost=COST), 0.0)
    runs(schedule, request("batch", 900, tenant="C", tier=Tier.BATCH))
    schedule.add(request("chat", 5, 1.0, tenant="C", tier=Tier.INTERACTIVE), 1.0)
    assert decided(schedule, 1.0) == ["preempt batch on x", "start chat on x"]


def test_no_request_is_stopped_if_the_next_one_cannot_take_the_slot() -> None:
    schedule = scheduler("srpt", tenant_max_running=1, tiers=DUE_AFTER_1_S)
    schedule.set_backend(Backend("x", 2, kv_tokens=1000, cost=COST), 0.0)
    runs(
        schedule,
        request("r1", 100, tenant="C", tier=Tier.BATCH),
        request("other", 800, tenant="B", preemptible=False),
    )
    # It does not fit beside `other`, even in the place of r1.
    schedule.add(request("r3", 400, 0.1, tenant="C"), 0.1)
    schedule.add(request("r2", 5, 1.0, tenant="A"), 1.0)
    assert decided(schedule, 3.0) == []


def test_another_request_is_stopped_if_the_capped_one_cannot_be() -> None:
    schedule = scheduler("srpt", tenant_max_running=1, tiers=DUE_AFTER_1_S)
    schedule.set_backend(Backend("x", 2, cost=COST), 0.0)
    runs(
        schedule,
        request("r1", 900, tenant="C", preemptible=False),
        request("batch", 800, tenant="B", tier=Tier.BATCH),
    )
    schedule.add(request("r3", 50, 0.1, tenant="C"), 0.1)
    schedule.add(request("r2", 5, 1.0, tenant="A"), 1.0)
    assert decided(schedule, 3.0) == ["preempt batch on x", "start r2 on x"]


def test_the_slot_of_a_shared_backend_goes_to_the_request_due_first() -> None:
    schedule = scheduler("srpt", tiers=DUE_AFTER_1_S)
    schedule.set_backend(Backend("x", 1, frozenset({"m", "n"}), cost=COST), 0.0)
    runs(schedule, request("r1", 900, tier=Tier.BATCH, lane="m"))
    schedule.add(request("due second", 5, 0.2, lane="m"), 0.2)
    schedule.add(request("due first", 50, 0.1, lane="n"), 0.2)
    assert decided(schedule, 3.0) == ["preempt r1 on x", "start due first on x"]


def test_the_share_of_a_cap_that_a_preemption_frees_is_used_at_once() -> None:
    schedule = scheduler("srpt", tenant_max_running=1)
    schedule.set_backend(Backend("x", 1, frozenset({"m", "n"}), cost=COST), 0.0)
    runs(schedule, request("r1", 900, tenant="C", tier=Tier.BATCH, lane="m"))
    schedule.set_backend(Backend("y", 1, frozenset({"m"}), cost=COST), 0.2)
    schedule.add(request("r2", 5, 1.0, tenant="A", lane="n"), 1.0)
    schedule.add(request("r3", 950, 1.0, tenant="C", tier=Tier.BATCH, lane="m"), 1.0)
    assert decided(schedule, 1.0) == ["preempt r1 on x", "start r2 on x", "start r1 on y"]


def test_a_full_queue_takes_a_request_that_starts_past_a_tenant_at_its_cap() -> None:
    schedule = scheduler("fcfs", tenant_max_running=1, max_queue=1)
    schedule.set_backend(Backend("x", 2, cost=COST), 0.0)
    runs(schedule, request("r1", tenant="C"))
    assert schedule.add(request("r2", tenant="C"), 1.0) is None
    assert schedule.add(request("r3", tenant="C"), 1.0) is not None, "it would have to wait"
    assert schedule.add(request("r4", tenant="A"), 1.0) is None
    assert decided(schedule, 1.0) == ["start r4 on x"]


def test_the_explanation_of_a_due_request_names_the_cap_of_its_tenant() -> None:
    schedule = scheduler("fcfs", tenant_max_running=1, tiers=DUE_AFTER_1_S)
    schedule.set_backend(Backend("x", 2, cost=COST), 0.0)
    runs(schedule, request("r1", tenant="C"))
    waits = request("r2", tenant="C")
    schedule.add(waits, 0.0)
    assert "tenant C runs at its cap" in schedule.outlook.explain(waits, 3.0)
