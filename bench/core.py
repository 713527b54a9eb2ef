"""Speed and memory of headway.core with a million waiting requests.

    python bench/core.py [--waiting 1000000] [--pairs 200000] [--policies fcfs,srpt]
    python bench/core.py --tenants [--counts 1000,5000]

For every policy, two rows: `queue` is one push and one pop of the policy's own queue, and
`scheduler` is the whole of it: add, the step that starts the next request, and finish.
Service times, deadlines, priorities and estimates vary; estimates are shared by 1,000 templates.

`--tenants` measures instead what an event costs by the number of tenants, each of which has 4
requests: with and without a cap per tenant, under every kind of fairness.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import time
import tracemalloc
from pathlib import Path

from headway.core.backend import Backend
from headway.core.decision import Start
from headway.core.estimate import SizeEstimate
from headway.core.policies import POLICIES
from headway.core.request import Request, Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings, TierSettings

REQUESTS_OF_A_TENANT = 4


def make_requests(count: int, seed: int) -> list[Request]:
    """`count` varied requests, one every millisecond."""
    rng = random.Random(seed)
    estimates = [
        SizeEstimate.from_lengths([max(1, int(rng.lognormvariate(4.5, 1.0))) for _ in range(12)])
        for _ in range(1000)
    ]
    return [
        Request(
            id=f"r{seed}-{index}",
            arrival_s=index * 1e-3,
            prompt_tokens=rng.randrange(16, 4096),
            estimate=estimates[rng.randrange(1000)],
            tier=Tier(rng.randrange(3)),
            tenant=f"tenant-{rng.randrange(100)}",
            priority=rng.randrange(10),
            deadline_s=1e9 + rng.random() * 1e4,
        )
        for index in range(count)
    ]


def pairs_per_s_queue(policy: str, waiting: list[Request], fresh: list[Request]) -> float:
    """Pairs of push and pop a second on the policy's queue."""
    queue = POLICIES[policy](SchedulerSettings(policy=policy)).queue()
    for sequence, request in enumerate([*waiting, *fresh]):
        request.sequence = sequence
    for request in waiting:
        queue.push(request)
    now_s = len(waiting) * 1e-3
    start = time.process_time()
    for request in fresh:
        queue.push(request)
        first = queue.peek(now_s)
        assert first is not None
        first.ticket += 1
        queue.entry_died()
    return len(fresh) / (time.process_time() - start)


def scheduler_of(policy: str, fairness: str = "off") -> Scheduler:
    tiers = {tier: TierSettings(max_wait_s=1e9, max_slowdown=1e9) for tier in Tier}
    scheduler = Scheduler(
        SchedulerSettings(policy=policy, tiers=tiers, fairness=fairness)  # type: ignore[arg-type]
    )
    scheduler.set_backend(Backend("b", slots=0), 0.0)
    return scheduler


def pairs_per_s_scheduler(
    scheduler: Scheduler, waiting: list[Request], fresh: list[Request]
) -> float:
    """Requests a second through add, step (one start) and finish."""
    for request in waiting:
        scheduler.add(request, request.arrival_s)
    now_s = len(waiting) * 1e-3
    scheduler.set_backend(Backend("b", slots=1), now_s)
    scheduler.step(now_s)
    (running,) = scheduler.backends["b"].running
    start = time.process_time()
    for request in fresh:
        scheduler.add(request, now_s)
        scheduler.finish(running, now_s)
        decision = scheduler.step(now_s)[-1]
        assert isinstance(decision, Start)
        running = decision.request.id
    return len(fresh) / (time.process_time() - start)


def cancels_per_s(scheduler: Scheduler, requests: list[Request]) -> float:
    start = time.process_time()
    for request in requests:
        scheduler.cancel(request.id, 1e6)
    return len(requests) / (time.process_time() - start)


def us_with_tenants(tenants: int, fairness: str, cap: int | None) -> dict[str, float]:
    """Microseconds for add and step, an explanation, finish and step, with `tenants` waiting."""
    tiers = {tier: TierSettings(max_wait_s=1e9) for tier in Tier}
    scheduler = Scheduler(
        SchedulerSettings(
            tiers=tiers,
            fairness=fairness,  # type: ignore[arg-type]
            tenant_max_running=cap,
        )
    )
    backend = Backend("b", slots=16)
    scheduler.set_backend(backend, 0.0)
    requests = make_requests(tenants * REQUESTS_OF_A_TENANT, 1)
    for index, request in enumerate(requests):
        request.tenant = f"tenant-{index % tenants}"
    start = time.process_time()
    for request in requests:
        scheduler.add(request, request.arrival_s)
        scheduler.step(request.arrival_s)
    added = time.process_time()
    explained = requests[:: len(requests) // 100]
    for request in explained:
        scheduler.outlook.explain(request, request.arrival_s)
    asked = time.process_time()
    now_s = requests[-1].arrival_s
    while scheduler.requests:
        now_s += 1e-3
        running = next(iter(backend.running))
        scheduler.progress(running, 50, now_s)
        scheduler.finish(running, now_s)
        scheduler.step(now_s)
    finished = time.process_time()
    return {
        "add_step_us": 1e6 * (added - start) / len(requests),
        "explain_us": 1e6 * (asked - added) / len(explained),
        "finish_step_us": 1e6 * (finished - asked) / len(requests),
    }


def tenants_table(counts: list[int]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    print(f"{'tenants':>7} {'fairness':8} {'cap':>4}  add+step  explain  finish+step")
    for tenants in counts:
        for fairness in ("off", "vtc", "drr"):
            for cap in (None, 1):
                us = us_with_tenants(tenants, fairness, cap)
                rows.append({"tenants": tenants, "fairness": fairness, "cap": cap, **us})
                print(
                    f"{tenants:7,} {fairness:8} {cap or '-':>4} {us['add_step_us']:6.1f} us "
                    f"{us['explain_us']:5.0f} us {us['finish_step_us']:9.1f} us",
                    flush=True,
                )
    return rows


def bytes_per_waiting(count: int = 100_000) -> float:
    """Memory that `count` waiting requests take in the scheduler, body and estimate not counted."""
    scheduler = scheduler_of("srpt")
    estimate = SizeEstimate.exactly(100)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for index in range(count):
        request = Request(f"request-{index}", index * 1e-3, 100 + index, estimate)
        scheduler.add(request, index * 1e-3)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=200_000)
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--json", type=Path, default=Path("results/core.json"))
    parser.add_argument("--tenants", action="store_true", help="cost by the number of tenants")
    parser.add_argument("--counts", default="1000,5000", help="of tenants")
    options = parser.parse_args()
    if options.tenants:
        rows = tenants_table([int(count) for count in options.counts.split(",")])
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"tenants": rows}, indent=1))
        return
    result: dict[str, object] = {"waiting": options.waiting, "policies": {}}
    print(f"{options.waiting:,} waiting requests, {options.pairs:,} pairs, one core")
    print(f"{'policy':10} {'queue add+pop/s':>16} {'add+start+finish/s':>19} {'cancel/s':>12}")
    gc.disable()  # a million live objects: what a gateway does too, by gc.freeze()
    for policy in options.policies.split(","):
        queue_rate = pairs_per_s_queue(
            policy, make_requests(options.waiting, 1), make_requests(options.pairs, 2)
        )
        waiting = make_requests(options.waiting, 1)
        scheduler = scheduler_of(policy)
        rate = pairs_per_s_scheduler(scheduler, waiting, make_requests(options.pairs, 2))
        cancel_rate = cancels_per_s(scheduler, random.Random(3).sample(waiting, options.pairs))
        result["policies"][policy] = {  # type: ignore[index]
            "queue_pairs_per_s": queue_rate,
            "scheduler_pairs_per_s": rate,
            "cancels_per_s": cancel_rate,
        }
        print(f"{policy:10} {queue_rate:16,.0f} {rate:19,.0f} {cancel_rate:12,.0f}", flush=True)
        del waiting, scheduler
    result["bytes_per_waiting_request"] = bytes_per_waiting()
    print(f"memory: {result['bytes_per_waiting_request']:.0f} bytes a waiting request")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
