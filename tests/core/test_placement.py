"""Which backend runs a request, and which request waits for which backend."""

from tests.core.test_policies import COST, request, scheduler

from headway.core.backend import Backend
from headway.core.cost import CostModel
from headway.core.decision import Start


def starts(decisions: list) -> dict[str, str]:
    return {d.request.id: d.backend for d in decisions if isinstance(d, Start)}


def test_no_smaller_request_overtakes_one_whose_kv_cache_does_not_fit_yet() -> None:
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("x", 4, kv_tokens=500, cost=COST), 0.0)
    schedule.add(request("first", 300), 0.0)
    schedule.add(request("large", 300), 0.0)
    schedule.add(request("small", 5), 0.0)
    assert list(starts(schedule.step(0.0))) == ["first"]
    schedule.finish("first", 1.0)
    assert list(starts(schedule.step(1.0))) == ["large", "small"]


def test_the_backend_that_would_finish_first_is_chosen() -> None:
    schedule = scheduler("fcfs")
    slow = CostModel(0.002, 0.02)
    schedule.set_backend(Backend("slow", 4, cost=slow), 0.0)
    schedule.set_backend(Backend("fast", 4, cost=COST), 0.0)
    chosen = []
    for index in range(8):
        schedule.add(request(f"r{index}", 1000), 0.0)
        chosen += [decision.backend for decision in schedule.step(0.0)]
    assert chosen[0] == "fast"
    assert chosen.count("fast") == chosen.count("slow") == 4


def test_a_prefix_goes_where_it_is_cached() -> None:
    schedule = scheduler("fcfs")
    for name in ("one", "two"):
        schedule.set_backend(Backend(name, 4, cost=COST), 0.0)
    homes = {}
    for index, prefix in enumerate([7, 8, 7, 8, 7, 8]):
        schedule.add(request(f"r{index}", 10, prompt_tokens=4000, prefix=prefix), 0.0)
        (start,) = schedule.step(0.0)
        homes.setdefault(prefix, set()).add(start.backend)
    assert homes[7] != homes[8] and len(homes[7]) == len(homes[8]) == 1


def test_a_prefix_that_all_requests_share_does_not_draw_them_to_one_backend() -> None:
    schedule = scheduler("fcfs")
    for name in ("one", "two"):
        schedule.set_backend(Backend(name, 8, cost=COST), 0.0)
    chosen = []
    for index in range(8):
        schedule.add(request(f"r{index}", 10, prompt_tokens=4000, prefix=7), 0.0)
        chosen += [decision.backend for decision in schedule.step(0.0)]
    assert chosen.count("one") == chosen.count("two") == 4


def test_a_computed_prompt_no_longer_counts_against_its_backend() -> None:
    schedule = scheduler("fcfs")
    for name in ("one", "two"):
        schedule.set_backend(Backend(name, 8, cost=COST), 0.0)
    schedule.add(request("reads", 1, prompt_tokens=4000), 0.0)
    schedule.add(request("writes", 100), 0.0)
    assert [decision.backend for decision in schedule.step(0.0)] == ["one", "two"]
    schedule.progress("reads", 1, 1.0)
    schedule.add(request("next"), 1.0)
    (start,) = schedule.step(1.0)
    assert start.backend == "one"


def test_a_failed_request_goes_to_another_backend_and_delays_no_other() -> None:
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("bad", 1, cost=COST), 0.0)
    schedule.set_backend(Backend("good", 1, cost=COST), 0.0)
    schedule.add(request("failed"), 0.0)
    schedule.add(request("long", 900), 0.0)
    assert starts(schedule.step(0.0)) == {"failed": "bad", "long": "good"}
    schedule.requeue("failed", 0.1, frozenset({"bad"}))
    schedule.add(request("next", arrival_s=0.1), 0.1)
    assert starts(schedule.step(0.1)) == {"next": "bad"}, "others may use the backend it avoids"
    schedule.finish("next", 0.2)
    assert schedule.step(0.2) == [], "it waits for the other, despite room where it failed"
    schedule.finish("long", 0.3)
    assert starts(schedule.step(0.3)) == {"failed": "good"}


def test_a_failed_request_returns_to_its_backend_if_there_is_no_other() -> None:
    schedule = scheduler("fcfs")
    schedule.set_backend(Backend("bad", 1, cost=COST), 0.0)
    schedule.set_backend(Backend("down", 0, cost=COST), 0.0)
    schedule.add(request("failed"), 0.0)
    schedule.step(0.0)
    schedule.requeue("failed", 0.1, frozenset({"bad"}))
    assert starts(schedule.step(0.1)) == {"failed": "bad"}


def test_a_failed_request_takes_no_slot_on_the_backend_where_it_failed() -> None:
    schedule = scheduler("srpt")
    schedule.set_backend(Backend("bad", 1, cost=COST), 0.0)
    schedule.add(request("short", 5), 0.0)
    schedule.step(0.0)
    schedule.set_backend(Backend("good", 1, cost=COST), 0.0)
    schedule.add(request("busy", 1, preemptible=False), 0.0)
    assert starts(schedule.step(0.0)) == {"busy": "good"}
    schedule.requeue("short", 0.1, frozenset({"bad"}))
    schedule.add(request("long", 5000, 0.1), 0.1)
    assert starts(schedule.step(0.1)) == {"long": "bad"}
    assert schedule.step(2.0) == []


def test_a_tenant_whose_request_was_passed_over_still_waits() -> None:
    schedule = scheduler("fcfs", fairness="vtc")
    schedule.set_backend(Backend("bad", 2, cost=COST), 0.0)
    schedule.set_backend(Backend("full", 1, cost=COST), 0.0)
    for name, tenant in (("a1", "a"), ("b1", "b"), ("b2", "b")):
        schedule.add(request(name, 100, tenant=tenant), 0.0)
    began = starts(schedule.step(0.0))
    schedule.requeue("a1", 1.0, avoid=frozenset({began["a1"]}))
    schedule.add(request("a2", 100, tenant="a"), 1.0)
    others = {name for name in ("bad", "full") if name != began["a1"]}
    assert all(
        len(schedule.backends[name].running) == schedule.backends[name].slots for name in others
    )
    assert list(starts(schedule.step(1.0))) == ["a2"]
    assert schedule.waiting() == 1
    assert schedule._ledger is not None and "a" in schedule._ledger._waiting
