"""What a grant through Redis costs: processes that add requests which end as soon as they start."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claims import Claim, publish
from headway.core.backend import Backend
from headway.core.decision import Decision, Start
from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings
from headway.sharing.mode import Mode
from headway.sharing.settings import QueueSettings
from headway.sharing.shared_queue import SharedQueue
from processes import Server
from redis_server import RedisServer, redis_server

SELF = Path(__file__).with_name("shared_queue.py")
SLOTS = 64
GATEWAYS = 3
ESTIMATE = SizeEstimate.exactly(100)


class Requests:
    """Requests of one gateway that end as soon as they start.

    Args:
        url: of Redis; None: all slots are its own.
        policy: orders the requests.
    """

    def __init__(self, url: str | None, policy: str) -> None:
        self._scheduler = Scheduler(SchedulerSettings(policy=policy))
        self._queue = None
        if url is not None:
            self._queue = SharedQueue(QueueSettings(url, prefix="bench"), self._scheduler)
        self._added_s: dict[str, float] = {}
        self._ended: dict[str, asyncio.Future[None]] = {}
        self._number = 0
        self.took_s: list[float] = []
        """From the arrival of each to its start."""

    async def start(self) -> None:
        backend = Backend("b", SLOTS, frozenset({"m"}))
        if self._queue is None:
            self._scheduler.set_backend(backend, time.monotonic())
            return
        self._queue.set_backend(backend, "bench/b", time.monotonic())
        self._queue.start(self._carry_out)
        while self._queue.mode is not Mode.SHARED or self._queue.members < GATEWAYS:
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        if self._queue is not None:
            await self._queue.close()

    async def one(self) -> None:
        """Add a request, and return once it has ended."""
        now_s = time.monotonic()
        self._number += 1
        id = f"r{self._number}"
        self._added_s[id] = now_s
        ended = self._ended[id] = asyncio.get_running_loop().create_future()
        self._scheduler.add(Request(id, now_s, 100, ESTIMATE, "m"), now_s)
        self._changed(now_s)
        await ended

    def _changed(self, now_s: float) -> None:
        if self._queue is None:
            self._carry_out(self._scheduler.step(now_s), now_s)
        else:
            self._queue.changed(now_s)

    def _carry_out(self, decisions: Sequence[Decision], now_s: float) -> None:
        for decision in decisions:
            if isinstance(decision, Start):
                id = decision.request.id
                self.took_s.append(time.monotonic() - self._added_s.pop(id))
                asyncio.get_running_loop().call_soon(self._end, id)

    def _end(self, id: str) -> None:
        now_s = time.monotonic()
        self._scheduler.finish(id, now_s)
        self._ended.pop(id).set_result(None)
        self._changed(now_s)


async def drive(options: argparse.Namespace) -> None:
    """One gateway's part: a Poisson process, or so many requests at a time."""
    requests = Requests(options.url, options.policy)
    await requests.start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    cpu_s, began_s = time.process_time(), time.monotonic()
    until_s = began_s + options.seconds
    if options.rate:
        under_way = set()
        at_s = began_s
        while (at_s := at_s + random.expovariate(options.rate)) < until_s:
            await asyncio.sleep(max(0.0, at_s - time.monotonic()))
            task = asyncio.ensure_future(requests.one())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
    else:

        async def again_and_again() -> None:
            while time.monotonic() < until_s:
                await requests.one()

        await asyncio.gather(*(again_and_again() for _ in range(options.at_once)))
    took_s = time.monotonic() - began_s
    cpu_s = time.process_time() - cpu_s
    await requests.close()
    print(json.dumps({"took_s": took_s, "cpu_s": cpu_s, "latencies_s": requests.took_s}))


def measure(redis: RedisServer | None, seconds: float, load: str) -> dict[str, float]:
    """What all gateways saw at a load: `--rate 50`, `--at-once 64`."""
    url = None if redis is None else redis.url
    command = [sys.executable, str(SELF), "drive", "--seconds", str(seconds), *load.split()]
    command += ["--url", url] if url else []
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(GATEWAYS if url else 1)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    results = []
    store = None if redis is None else Server(redis.url, redis.pid)
    before_s = store.cpu_s if store else 0.0
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        results.append(json.loads(process.communicate(timeout=seconds + 60)[0]))
    of_redis_s = store.cpu_s - before_s if store else 0.0
    latencies_s = sorted(one for result in results for one in result["latencies_s"])
    return {
        "grants_per_s": sum(len(one["latencies_s"]) / one["took_s"] for one in results),
        "p50_ms": 1000.0 * latencies_s[len(latencies_s) // 2],
        "p99_ms": 1000.0 * latencies_s[len(latencies_s) * 99 // 100],
        "cores_of_gateways": sum(one["cpu_s"] / one["took_s"] for one in results),
        "cores_of_redis": of_redis_s / results[0]["took_s"],
    }


def grants(options: argparse.Namespace) -> int:
    """Measure grants at a light and a heavy load, with Redis and without; the exit status."""
    policy = f"--policy {options.policy}"
    light, heavy = f"{policy} --rate {options.rate}", f"{policy} --at-once {options.at_once}"
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
        rows = {
            "light, without Redis": measure(None, options.seconds, light),
            "light": measure(server, options.seconds, light),
            "heavy, without Redis": measure(None, options.seconds, heavy),
            "heavy": measure(server, options.seconds, heavy),
        }
    for name, row in rows.items():
        shown = "  ".join(f"{key} {value:9.3f}" for key, value in row.items())
        print(f"{name:22}{shown}")
    alone, shared = rows["light, without Redis"], rows["light"]
    claims = [
        Claim("added by a grant, p50 in ms", shared["p50_ms"] - alone["p50_ms"], 1.5),
        Claim("added by a grant, p99 in ms", shared["p99_ms"] - alone["p99_ms"], 10.0),
        Claim("grants a second", rows["heavy"]["grants_per_s"], 2000.0, at_most=False),
    ]
    return publish(claims, {"rows": rows}, options.json)
