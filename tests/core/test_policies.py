"""The order of each policy, on a few requests."""

import pytest

from headway.core.backend import Backend
from headway.core.cost import CostModel
from headway.core.decision import Preempt, Start
from headway.core.estimate import SizeEstimate
from headway.core.policies import POLICIES
from headway.core.request import Request, State
from headway.core.scheduler import Scheduler
from headway.core.settings import PreemptionSettings, SchedulerSettings

COST = CostModel(prefill_s_per_token=0.001, decode_s_per_token=0.01, preempt_s=0.05)


def scheduler(policy: str, **settings: object) -> Scheduler:
    return Scheduler(SchedulerSettings(policy=policy, cost=COST, **settings))  # type: ignore


def request(name: str, tokens: int = 100, arrival_s: float = 0.0, **facts) -> Request:
    facts.setdefault("prompt_tokens", 10)
    return Request(name, arrival_s, estimate=SizeEstimate.exactly(tokens), **facts)


def served(policy: str, requests: list[Request], now_s: float = 0.0) -> list[str]:
    """The order in which one slot runs them, each to its end."""
    schedule = scheduler(policy)
    for one in requests:
        schedule.add(one, one.arrival_s)
    schedule.set_backend(Backend("x", 1, cost=COST), now_s)
    order = []
    while schedule.requests:
        (start,) = schedule.step(now_s)
        assert isinstance(start, Start)
        order.append(start.request.id)
        schedule.finish(start.request.id, now_s)
    return order


def test_fcfs_is_by_arrival() -> None:
    assert served("fcfs", [request("long", 900), request("short", 1, 1.0)], 2.0) == [
        "long",
        "short",
    ]


@pytest.mark.parametrize("policy", ["sjf", "srpt", "trail", "gittins", "ltr"])
def test_size_based_policies_run_the_shortest_first(policy) -> None:
    requests = [request("long", 900), request("short", 5), request("middle", 90)]
    assert served(policy, requests) == ["short", "middle", "long"]


@pytest.mark.parametrize("policy", ["sjf", "srpt", "trail", "gittins"])
def test_a_long_prompt_counts_as_work(policy) -> None:
    requests = [request("reads", 10, prompt_tokens=5000), request("writes", 100)]
    assert served(policy, requests) == ["writes", "reads"]


@pytest.mark.parametrize("policy", ["sjf", "srpt", "trail", "gittins"])
def test_a_cached_prompt_does_not(policy) -> None:
    requests = [request("reads", 10, prompt_tokens=5000, cached_tokens=4990), request("w", 100)]
    assert served(policy, requests) == ["reads", "w"]


def test_ltr_orders_by_the_score_alone() -> None:
    requests = [request("a", 5, score=9.0), request("b", 900, score=2.0), request("c", 64)]
    assert served("ltr", requests) == ["b", "c", "a"]


def test_trail_does_not_stop_a_request_beyond_four_fifths_of_its_prediction() -> None:
    for tokens, expected in ((1000, 2), (60, 0)):
        long, short = request("long", tokens), request("short", 1, 1.0)
        assert len(running_then_arrives("trail", long, short)) == expected


def finish(schedule: Scheduler, one: Request, now_s: float) -> None:
    """Run `one` alone, to its end."""
    schedule.add(one, now_s)
    schedule.step(now_s)
    schedule.progress(one.id, int(one.estimate.mean), now_s)
    schedule.finish(one.id, now_s)


def order(schedule: Scheduler, requests: list[Request], now_s: float = 9.0) -> list[str]:
    """The order in which the one slot runs `requests`, each to its end."""
    blocker = request("blocker", 1, preemptible=False)
    schedule.add(blocker, now_s)
    schedule.step(now_s)
    for one in requests:
        schedule.add(one, now_s)
    schedule.finish("blocker", now_s)
    started = []
    while schedule.requests:
        (start,) = schedule.step(now_s)
        started.append(start.request.id)
        schedule.finish(start.request.id, now_s)
    return started


def one_slot(policy: str) -> Scheduler:
    schedule = scheduler(policy)
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    return schedule


def test_plas_runs_first_whose_run_had_the_least_service() -> None:
    schedule = one_slot("plas")
    finish(schedule, request("a1", 2000, program="a"), 0.0)
    requests = [request("a2", 1, program="a"), request("b1", 900, program="b"), request("alone")]
    assert order(schedule, requests) == ["b1", "alone", "a2"]


def test_plas_is_mlfq_where_every_run_is_of_one_request() -> None:
    requests = [request(str(n), n, prompt_tokens=1 + 997 * n % 4000) for n in range(1, 9)]
    again = [request(str(n), n, prompt_tokens=1 + 997 * n % 4000) for n in range(1, 9)]
    assert served("plas", requests) == served("mlfq", again)


def test_plas_tells_programs_of_two_tenants_apart() -> None:
    schedule = one_slot("plas")
    finish(schedule, request("a1", 2000, program="p", tenant="a"), 0.0)
    mine = request("a2", program="p", tenant="a"), request("b1", program="p", tenant="b")
    assert order(schedule, list(mine)) == ["b1", "a2"]


def test_atlas_counts_branches_of_a_run_once() -> None:
    for policy, first in (("plas", "long"), ("atlas", "wide")):
        schedule = one_slot(policy)
        finish(schedule, request("begin", 1, program="w", step="begin"), 0.0)
        for branch in "abcd":  # side by side: none waited for another
            finish(
                schedule, request(branch, 700, program="w", step=branch, parents=("begin",)), 0.0
            )
        finish(schedule, request("l1", 1500, program="l"), 0.0)
        requests = [
            request("wide", program="w", parents=("a", "b", "c", "d")),
            request("long", program="l"),
        ]
        assert order(schedule, requests)[0] == first, policy


def test_run_gittins_runs_first_whose_run_has_the_least_to_come() -> None:
    requests = [
        request("long run", 10, to_come=SizeEstimate.exactly(60_000)),
        request("last call", 900),
        request("short run", 10, to_come=SizeEstimate.exactly(4_000)),
    ]
    assert served("run-gittins", requests) == ["short run", "last call", "long run"]


def test_run_gittins_tries_a_run_that_may_end_soon() -> None:
    maybe = SizeEstimate((1, 100_000), (0.5, 0.5))
    requests = [
        request("certain", 100, to_come=SizeEstimate.exactly(20_000)),
        request("maybe", 100, to_come=maybe),
    ]
    assert served("run-gittins", requests) == ["maybe", "certain"]


def test_run_fcfs_finishes_the_run_that_began_first() -> None:
    schedule = one_slot("run-fcfs")
    finish(schedule, request("a1", program="a"), 0.0)
    requests = [
        request("b1", arrival_s=1.0, program="b"),
        request("a2", arrival_s=2.0, program="a"),
    ]
    assert order(schedule, requests) == ["a2", "b1"]


def test_urgency_leaves_the_rest_of_the_run_its_share() -> None:
    requests = [
        request("last step", 100, deadline_s=50.0),
        request("first of ten", 100, deadline_s=50.0, to_come=SizeEstimate.exactly(9_000)),
    ]
    assert served("urgency", requests) == ["first of ten", "last step"]


def test_slack_counts_what_comes_after_in_the_run() -> None:
    requests = [
        request("late", 100, deadline_s=50.0),
        request("later", 100, deadline_s=55.0, to_come=SizeEstimate.exactly(20_000)),
    ]
    assert served("slack", requests) == ["later", "late"]


def test_edf_is_by_deadline_and_no_deadline_comes_last() -> None:
    requests = [request("none"), request("late", deadline_s=90), request("soon", deadline_s=50)]
    assert served("edf", requests) == ["soon", "late", "none"]


def test_slack_prefers_the_longer_of_two_with_one_deadline() -> None:
    requests = [request("short", 10, deadline_s=60), request("long", 2000, deadline_s=60)]
    assert served("slack", requests) == ["long", "short"]
    assert served("edf", [request("short", 10, deadline_s=60), request("l", 2000, deadline_s=60)])


def test_hrrn_runs_a_long_request_that_has_waited_long_enough() -> None:
    long = request("long", 1000, arrival_s=0.0)
    assert served("hrrn", [long, request("short", 10, arrival_s=1.0)], now_s=2.0)[0] == "short"
    long = request("long", 1000, arrival_s=0.0)
    assert served("hrrn", [long, request("short", 10, arrival_s=99.9)], now_s=100.0)[0] == "long"


def test_mlfq_puts_a_long_prompt_on_a_low_level_at_once() -> None:
    requests = [request("reads", 1, prompt_tokens=5000), request("writes", 5000)]
    assert served("mlfq", requests) == ["writes", "reads"]


def test_priority_is_the_clients_integer_smaller_first() -> None:
    requests = [request("zero"), request("one", priority=1), request("minus", priority=-1)]
    assert served("priority", requests) == ["minus", "zero", "one"]


def running_then_arrives(policy: str, running: Request, arrives: Request, **settings) -> list:
    schedule = scheduler(policy, preemption=PreemptionSettings(**settings))
    schedule.set_backend(Backend("x", 1, cost=COST), 0.0)
    schedule.add(running, 0.0)
    schedule.step(0.0)
    schedule.progress(running.id, 50, 1.0)
    schedule.add(arrives, 1.0)
    return schedule.step(1.0)


@pytest.mark.parametrize("policy", ["srpt", "trail", "ltr", "gittins", "mlfq"])
def test_preemptive_policies_stop_a_long_request_for_a_short_one(policy) -> None:
    long, short = request("long", 2000), request("short", 5, 1.0)
    decisions = running_then_arrives(policy, long, short)
    assert list(map(str, decisions)) == ["preempt long on x", "start short on x"]
    assert (long.state, long.preemptions) == (State.PREEMPTED, 1)


def test_ltr_stops_no_request_if_that_saves_no_time() -> None:
    reads = request("reads", 5, 1.0, prompt_tokens=5000, score=2.0)
    assert running_then_arrives("ltr", request("long", 400, score=9.0), reads) == []
    short = request("short", 30, 1.0, score=5.0)
    assert running_then_arrives("ltr", request("ends", 60, score=9.0), short) == []


def test_mlfq_stops_no_request_within_its_first_quantum() -> None:
    long, short = request("long", 2000), request("short", 5, 1.0)
    assert running_then_arrives("mlfq", long, short, quantum_s=2.0) == []


@pytest.mark.parametrize("policy", ["fcfs", "sjf", "hrrn"])
def test_other_policies_never_preempt(policy) -> None:
    assert running_then_arrives(policy, request("long", 2000), request("short", 5, 1.0)) == []


@pytest.mark.parametrize("policy", ["edf", "slack"])
def test_an_urgent_deadline_stops_a_later_one(policy) -> None:
    decisions = running_then_arrives(
        policy, request("later", 2000, deadline_s=1000), request("urgent", 5, 1.0, deadline_s=9)
    )
    assert isinstance(decisions[0], Preempt)


def test_every_policy_is_in_the_table_under_its_own_name() -> None:
    for name, policy in POLICIES.items():
        assert policy.__name__.lower() == name.replace("-", "")
        assert policy.__module__.endswith(f".{name.replace('-', '_')}")
        assert policy.__doc__


def test_an_unknown_policy_is_refused_with_the_list_of_policies() -> None:
    with pytest.raises(ValueError, match=r"unknown policy 'sprt'; the policies are fcfs, sjf"):
        scheduler("sprt")
