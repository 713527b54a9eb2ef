"""How long requests will wait, and why."""

import pytest
from tests.core.test_policies import COST, request, scheduler

from headway.core.backend import Backend
from headway.core.decision import Start
from headway.core.outlook import Outlook
from headway.core.policies import POLICIES
from headway.core.request import Tier
from headway.core.settings import PreemptionSettings


def test_it_explains_in_a_sentence_why_a_request_waits() -> None:
    schedule = scheduler("fcfs", tenant_max_running=1)
    for name in ("one", "two"):
        schedule.add(request(name, tenant="acme"), 0.0)
    two = schedule.requests["two"]
    assert "a backend that serves its model" in schedule.outlook.explain(two, 0.0)
    schedule.set_backend(Backend("x", 2, cost=COST), 0.0)
    schedule.step(0.0)
    assert "tenant acme runs at its cap" in schedule.outlook.explain(two, 0.0)
    assert "runs on x" in schedule.outlook.explain(schedule.requests["one"], 1.0)


@pytest.mark.parametrize("policy", ["fcfs", "sjf", "priority", "edf"])
def test_ahead_counts_the_requests_that_start_before_it(policy) -> None:
    schedule = scheduler(policy)
    for number in range(60):
        tier = Tier.STANDARD if number % 3 else Tier.BATCH
        one = request(
            f"r{number}", 1 + number * 37 % 20, tier=tier, priority=number % 2, deadline_s=1e6
        )
        schedule.add(one, 0.0)
    found = {one.id: schedule.outlook.prospect(one) for one in schedule.requests.values()}
    assert {one.wait_s for one in found.values()} == {None}, "no backend is there"
    ahead = {id: one.ahead for id, one in found.items()}
    schedule.set_backend(Backend("x", 60, cost=COST), 0.0)
    order = [start.request.id for start in schedule.step(0.0) if isinstance(start, Start)]
    assert ahead == {name: place for place, name in enumerate(order)}


def test_ahead_is_estimated_from_a_sample_of_a_long_queue() -> None:
    schedule = scheduler("sjf")
    for number in range(5000):
        schedule.add(request(f"r{number}", 1 + number * 37 % 5000), 0.0)
    middle = next(r for r in schedule.requests.values() if r.estimate.mean == 2501)
    assert schedule.outlook.prospect(middle).ahead == pytest.approx(2500, rel=0.3)


def test_a_request_that_will_be_added_again_is_behind_all_of_its_rank() -> None:
    schedule = scheduler("priority")
    for name in ("one", "two"):
        schedule.add(request(name), 0.0)
    moved = schedule.hand_over("one", 0.0)
    assert schedule.outlook.prospect(moved).ahead == 1


@pytest.mark.parametrize("preempts", [True, False])
@pytest.mark.parametrize("name", sorted(POLICIES))
def test_under_another_policy_it_says_what_it_would_say_after_a_switch(name, preempts) -> None:
    schedule = scheduler("sjf", preemption=PreemptionSettings(enabled=preempts))
    schedule.set_backend(Backend("x", 2, cost=COST), 0.0)
    for number in range(40):
        tier = Tier.STANDARD if number % 3 else Tier.BATCH
        length = 1 + number * 37 % 20
        schedule.add(
            request(f"r{number}", length, tier=tier, program=f"p{number % 4}"), 0.1 * number
        )
    schedule.step(4.0)
    new = request("new", 10, program="p1")
    new.arrival_s = 4.0

    def said(outlook: Outlook) -> tuple[float, int]:
        return outlook.predicted_wait_s(new), outlook.prospect(new).ahead

    present, under = said(schedule.outlook), said(schedule.outlook.under(name))
    assert said(schedule.outlook) == present, "nothing has changed"
    schedule.use_policy(name, 4.0)
    assert under == pytest.approx(said(schedule.outlook))


def test_a_request_starts_once_the_slots_have_done_what_goes_before_it() -> None:
    """The slots fill up to one level; that which is busy for longest takes nothing before."""
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("x", 3, cost=COST), 0.0)
    for number, length in enumerate((10, 30, 1000)):
        schedule.add(request(f"r{number}", length), 0.0)
    schedule.step(0.0)
    ends_s = sorted(COST.remaining_s(one) for one in schedule.requests.values())
    waits_s = []
    for number in range(4):
        name = f"w{number}"
        schedule.add(request(name, 40), 1.0 + number)
        waits_s.append(schedule.outlook.predicted_wait_s(schedule.requests[name]))
    work_s = schedule.requests["w0"].queued_work_s
    assert waits_s[0] == ends_s[0], "the first in line gets the first slot"
    assert waits_s[1:] == [
        pytest.approx((ends_s[0] + ends_s[1] + n * work_s) / 2.0) for n in (1, 2, 3)
    ]
    assert waits_s[-1] < ends_s[2]


def test_free_slots_that_a_waiting_request_does_not_get_are_not_counted() -> None:
    schedule = scheduler("fcfs", tenant_max_running=1)
    schedule.set_backend(Backend("x", 4, cost=COST), 0.0)
    for name in ("one", "two"):
        schedule.add(request(name, 50, tenant="acme"), 0.0)
    schedule.step(0.0)
    one, two = (schedule.requests[name] for name in ("one", "two"))
    assert schedule.outlook.predicted_wait_s(two) == COST.remaining_s(one)


def test_a_slot_that_a_backend_does_not_have_any_more_is_nobody_s_next_one() -> None:
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("x", 2, cost=COST), 0.0)
    for name, length in (("short", 10), ("long", 50), ("waits", 5)):
        schedule.add(request(name, length), 0.0)
    schedule.step(0.0)
    schedule.set_backend(Backend("x", 1, cost=COST), 1.0)
    wait_s = schedule.outlook.predicted_wait_s(schedule.requests["waits"])
    assert wait_s == COST.remaining_s(schedule.requests["long"])
