"""The order of three schedulers that share slots through Redis, against one that sees all."""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

import uvloop

from claims import Claim, publish
from headway.core.backend import Backend
from headway.core.cost import CostModel
from headway.core.decision import Decision, Start
from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings
from headway.sharing.mode import Mode
from headway.sharing.settings import QueueSettings
from headway.sharing.shared_queue import SharedQueue
from redis_server import redis_server

SLOTS = 64
GATEWAYS = 3
MEAN_S = 0.5
"""Of a request."""
APART_S = 0.005


class Served:
    """Requests that take their predicted time, on the slots of one backend.

    Args:
        schedulers: how many there are; more than one share the slots through Redis.
        url: of Redis.
        policy: orders the requests.
    """

    def __init__(self, schedulers: int, url: str, policy: str) -> None:
        cost = CostModel(prefill_s_per_token=0.0, decode_s_per_token=0.001)
        settings = SchedulerSettings(policy=policy, cost=cost)
        self._schedulers = [Scheduler(settings) for _ in range(schedulers)]
        self._queues = []
        backend = partial(Backend, "b", SLOTS, frozenset({"m"}), cost=cost)
        for scheduler in self._schedulers:
            if schedulers == 1:
                scheduler.set_backend(backend(), time.monotonic())
            else:
                queue = SharedQueue(QueueSettings(url, prefix=f"order-{policy}"), scheduler)
                queue.set_backend(backend(), "bench/b", time.monotonic())
                self._queues.append(queue)
        self.ended: dict[str, tuple[Request, float, float]] = {}
        """Each request, when it started and when it ended."""

    async def start(self) -> None:
        for number, queue in enumerate(self._queues):
            queue.start(partial(self._carry_out, number))
        while any(
            one.mode is not Mode.SHARED or one.members < len(self._queues) for one in self._queues
        ):
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        for queue in self._queues:
            await queue.close()

    def add(self, request: Request, number: int) -> None:
        number %= len(self._schedulers)
        now_s = time.monotonic()
        self._schedulers[number].add(request, now_s)
        self._changed(number, now_s)

    def _changed(self, number: int, now_s: float) -> None:
        if self._queues:
            self._queues[number].changed(now_s)
        else:
            self._carry_out(0, self._schedulers[0].step(now_s), now_s)

    def _carry_out(self, number: int, decisions: Sequence[Decision], now_s: float) -> None:
        for decision in decisions:
            if isinstance(decision, Start):
                request = decision.request
                takes_s = request.estimate.mean / 1000.0
                asyncio.get_running_loop().call_later(takes_s, self._end, number, request, now_s)

    def _end(self, number: int, request: Request, started_s: float) -> None:
        now_s = time.monotonic()
        self._schedulers[number].finish(request.id, now_s)
        self.ended[request.id] = request, started_s, now_s
        self._changed(number, now_s)


def inversions(served: Served, policy: str) -> float:
    """The share of starts that a request of any gateway should have preceded.

    It had arrived APART_S before, and started as much later: what is nearer is on its way.
    """
    ranks: dict[str, Callable[[Request], tuple[float, ...]]] = {
        "fcfs": lambda request: (request.arrival_s,),
        "sjf": lambda request: (request.estimate.mean, request.arrival_s),
    }
    rank = ranks[policy]
    rows = sorted((started_s, rank(one), one) for one, started_s, _ in served.ended.values())
    wrong = 0
    for at, (started_s, place, _) in enumerate(rows):
        wrong += any(
            later_s > started_s + APART_S
            and other < place
            and request.arrival_s < started_s - APART_S
            for later_s, other, request in rows[at + 1 : at + 400]
        )
    return wrong / len(rows)


def order(options: argparse.Namespace) -> int:
    """Compare three schedulers with one that sees all; the exit status."""
    claims, details = [], {}
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as redis:
        for policy in ("fcfs", "sjf"):
            rows = uvloop.run(_order(redis.url, policy, options))
            details[policy] = rows
            of = {name: fmean(row["mean_s"] for row in rows[name]) for name in rows}
            share = max(row["inversions"] for row in rows["three"])
            print(f"{policy}: mean latency {of}, inversions {share:.4f}")
            claims += [
                Claim(f"{policy}: inversions, share of starts", share, 0.01),
                Claim(f"{policy}: mean latency over one's", of["three"] / of["one"], 1.03),
            ]
    return publish(claims, details, options.json)


async def _order(
    url: str, policy: str, options: argparse.Namespace
) -> dict[str, list[dict[str, float]]]:
    rows: dict[str, list[dict[str, float]]] = {"one": [], "three": []}
    for number in range(options.rounds):
        for name, schedulers in (("one", 1), ("three", GATEWAYS))[:: 1 - 2 * (number % 2)]:
            rng = random.Random(number)
            served = Served(schedulers, url, policy)
            await served.start()
            at_s, rate, sent = time.monotonic(), options.load * SLOTS / MEAN_S, 0
            until_s = at_s + options.seconds
            while (at_s := at_s + rng.expovariate(rate)) < until_s:
                size = SizeEstimate.exactly(max(1, round(rng.expovariate(1 / MEAN_S) * 1000)))
                await asyncio.sleep(max(0.0, at_s - time.monotonic()))
                sent += 1
                now_s = time.monotonic()
                served.add(Request(f"r{sent}", now_s, 1, size, "m"), rng.randrange(GATEWAYS))
            while len(served.ended) < sent:
                await asyncio.sleep(0.05)
            await served.close()
            latencies_s = [ended_s - one.arrival_s for one, _, ended_s in served.ended.values()]
            rows[name].append(
                {"mean_s": fmean(latencies_s), "inversions": inversions(served, policy)}
            )
    return rows
