"""What it costs that several gateways share one order through Redis, and what faults do to it.

    python bench/shared_queue.py grants     3 processes, 64 slots, requests that end at once
    python bench/shared_queue.py faults     3 gateways: SIGKILL, Redis restarted, Redis gone
    python bench/shared_queue.py order      3 schedulers in one process, against one that sees all

`grants` drives the scheduler without HTTP: a request is added, starts once its slot is granted, and
ends in the same turn of the event loop. At a light load that is what a grant adds to a request;
with many requests at once it is how many grants there are in a second. The same without Redis is
beside it. Nothing else should run: Redis and three processes take more than two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import aiohttp
import uvloop
from aiohttp import web

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
from redis_server import RedisServer, free_port, redis_server

SLOTS = 64
GATEWAYS = 3
ORDER_SLOTS = 64
MEAN_S = 0.5
"""Of a request."""
APART_S = 0.005
HUNG_S = 45.0
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
    import random

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
    command = [sys.executable, __file__, "drive", "--seconds", str(seconds), *load.split()]
    command += ["--url", url] if url else []
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(GATEWAYS if url else 1)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    results = []
    before_s = cpu_s(redis)
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        results.append(json.loads(process.communicate(timeout=seconds + 60)[0]))
    of_redis_s = cpu_s(redis) - before_s
    latencies_s = sorted(one for result in results for one in result["latencies_s"])
    return {
        "grants_per_s": sum(len(one["latencies_s"]) / one["took_s"] for one in results),
        "p50_ms": 1000.0 * latencies_s[len(latencies_s) // 2],
        "p99_ms": 1000.0 * latencies_s[len(latencies_s) * 99 // 100],
        "cores_of_gateways": sum(one["cpu_s"] / one["took_s"] for one in results),
        "cores_of_redis": of_redis_s / results[0]["took_s"],
    }


def cpu_s(redis: RedisServer | None) -> float:
    """CPU time that Redis has used."""
    if redis is None:
        return 0.0
    fields = Path(f"/proc/{redis.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def grants(options: argparse.Namespace) -> int:
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
        backend = partial(Backend, "b", ORDER_SLOTS, frozenset({"m"}), cost=cost)
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
    rank = {
        "fcfs": lambda request: request.arrival_s,
        "sjf": lambda request: (request.estimate.mean, request.arrival_s),
    }[policy]
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
    import random

    rows: dict[str, list[dict[str, float]]] = {"one": [], "three": []}
    for number in range(options.rounds):
        for name, schedulers in (("one", 1), ("three", GATEWAYS))[:: 1 - 2 * (number % 2)]:
            rng = random.Random(number)
            served = Served(schedulers, url, policy)
            await served.start()
            at_s, rate, sent = time.monotonic(), options.load * ORDER_SLOTS / MEAN_S, 0
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


class CountingBackend:
    """A server that answers after a while, and counts what it has in flight."""

    def __init__(self, takes_s: float) -> None:
        self._takes_s = takes_s
        self._runner: web.AppRunner | None = None
        self.in_flight = self.most = 0
        self.url = ""

    async def __aenter__(self) -> CountingBackend:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._answer)
        # A killed gateway ends what it had in flight.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *why: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "fake", "object": "model"}]})

    async def _answer(self, request: web.Request) -> web.Response:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            await request.read()
            await asyncio.sleep(self._takes_s)
        finally:
            self.in_flight -= 1
        message = {"role": "assistant", "content": "done"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "fake"}
        return web.json_response({**answer, "choices": [choice], "usage": usage})


class Faults:
    """What happens to requests and slots while gateways and Redis fail."""

    def __init__(self, backend: CountingBackend, urls: list[str], slots: int) -> None:
        self._backend = backend
        self._urls = urls
        self._slots = slots
        self._going = True
        self.answered = self.failed = self.hung = 0

    async def clients(self, number: int) -> None:
        """So many clients, each of which asks again and again, elsewhere after an error."""
        limit = aiohttp.ClientTimeout(total=HUNG_S)
        async with aiohttp.ClientSession(timeout=limit) as session:

            async def client(home: int) -> None:
                at = home
                while self._going:
                    url = self._urls[at % len(self._urls)]
                    at = home
                    try:
                        body = {"model": "fake", "messages": [{"role": "user", "content": "x"}]}
                        async with session.post(f"{url}/v1/chat/completions", json=body) as got:
                            await got.read()
                            self.answered += got.status == 200
                            self.failed += got.status != 200
                    except TimeoutError:
                        self.hung += 1
                        print(f"a request to {url} hangs", flush=True)
                    except aiohttp.ClientError:
                        self.failed += 1
                        at = home + 1
                        await asyncio.sleep(0.05)

            await asyncio.gather(*(client(at) for at in range(number)))

    def stop(self) -> None:
        self._going = False

    async def during(self, name: str, seconds: float) -> dict[str, float]:
        """Watch for a while: what was in flight, and for how long slots were idle at a time."""
        self._backend.most = self._backend.in_flight
        before, began_s = self.answered, time.monotonic()
        idle_since_s, longest_s = began_s, 0.0
        while (now_s := time.monotonic()) < began_s + seconds:
            if self._backend.in_flight >= self._slots:
                idle_since_s = now_s
            longest_s = max(longest_s, now_s - idle_since_s)
            await asyncio.sleep(0.005)
        row = {
            "most_in_flight": float(self._backend.most),
            "longest_without_all_slots_s": longest_s,
            "answers_per_s": (self.answered - before) / seconds,
        }
        print(
            f"{time.strftime('%T')} {name:34}"
            + "  ".join(f"{key} {value:7.2f}" for key, value in row.items())
        )
        return row


def faults(options: argparse.Namespace) -> int:
    return asyncio.run(_faults(options))


async def _faults(options: argparse.Namespace) -> int:
    slots = options.slots
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        with redis_server(folder) as redis:
            async with CountingBackend(options.takes) as backend:
                command = [
                    str(Path(sys.executable).with_name("headway")),
                    "serve",
                    "--backend",
                    backend.url,
                ]
                command += ["--max-concurrency", str(slots), "--set", f"queue={redis.url}"]
                command += [
                    "--policy",
                    "fcfs",
                    "--set",
                    "log.requests_db=null",
                    "--set",
                    "models=[]",
                ]
                ports = [free_port() for _ in range(GATEWAYS)]
                urls = [f"http://127.0.0.1:{port}" for port in ports]

                def start(number: int) -> subprocess.Popen[bytes]:
                    log = (folder / f"gateway{number}.log").open("ab")
                    with log:
                        return subprocess.Popen(
                            [*command, "--port", str(ports[number])], stdout=log, stderr=log
                        )

                gateways = [start(number) for number in range(GATEWAYS)]
                try:
                    await asyncio.gather(*map(all_shared, urls))
                    run = Faults(backend, urls, slots)
                    clients = asyncio.ensure_future(run.clients(6 * slots))
                    await asyncio.sleep(2.0)
                    rows = {"nothing fails": await run.during("nothing fails", 5.0)}
                    gateways[-1].kill()
                    rows["killed"] = await run.during("one of three is killed", 10.0)
                    gateways[-1].wait()
                    gateways[-1] = start(GATEWAYS - 1)
                    rows["back"] = await run.during("and started again", 10.0)
                    redis.kill()
                    redis.start()
                    rows["restarted"] = await run.during("Redis restarts, empty", 10.0)
                    redis.kill()
                    rows["gone"] = await run.during("Redis is gone", options.gone)
                    redis.start()
                    rows["returned"] = await run.during("and comes back, empty", 10.0)
                    redis.freeze()
                    rows["frozen"] = await run.during("Redis hangs", 10.0)
                    redis.thaw()
                    rows["thawed"] = await run.during("and goes on", 10.0)
                    run.stop()
                    await clients
                finally:
                    for gateway in gateways:
                        gateway.terminate()
                    for gateway in gateways:
                        gateway.wait()
                    if options.logs:
                        for path in sorted(folder.glob("*.log")):
                            lines = path.read_text().splitlines()
                            print(path.name, *(one for one in lines if "req-" not in one), sep="\n")
    lost_s = max(row["longest_without_all_slots_s"] for row in rows.values())
    claims = [
        Claim("most in flight", max(row["most_in_flight"] for row in rows.values()), slots),
        Claim("longest time that a slot was lost, s", lost_s, 5.0),
        Claim("requests that hang", run.hung, 0),
    ]
    print(f"{run.answered} answers, {run.failed} errors, of a killed gateway's clients")
    return publish(claims, {"rows": rows, "failed": run.failed}, options.json)


async def all_shared(url: str) -> None:
    """Wait until that gateway shares with all others."""
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/v1/headway/queue") as got:
                    view = await got.json()
                    gateways = view["gateways"]
                    if gateways["mode"] == "shared" and gateways["number"] == GATEWAYS:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(required=True)
    kind = kinds.add_parser("grants")
    kind.add_argument("--seconds", type=float, default=8.0)
    kind.add_argument("--policy", default="srpt")
    kind.add_argument("--rate", type=float, default=50.0, help="requests a second of a gateway")
    kind.add_argument("--at-once", type=int, default=64, help="requests of a gateway at a time")
    kind.add_argument("--json", type=Path, default=Path("results/shared_queue_grants.json"))
    kind.set_defaults(run=grants)
    kind = kinds.add_parser("faults")
    kind.add_argument("--slots", type=int, default=8)
    kind.add_argument("--takes", type=float, default=0.2, help="seconds of a request")
    kind.add_argument("--gone", type=float, default=30.0, help="seconds without Redis")
    kind.add_argument("--logs", action="store_true", help="print what the gateways said")
    kind.add_argument("--json", type=Path, default=Path("results/shared_queue_faults.json"))
    kind.set_defaults(run=faults)
    kind = kinds.add_parser("order")
    kind.add_argument("--seconds", type=float, default=10.0, help="of each round")
    kind.add_argument("--rounds", type=int, default=4)
    kind.add_argument("--load", type=float, default=0.95)
    kind.add_argument("--json", type=Path, default=Path("results/shared_queue_order.json"))
    kind.set_defaults(run=order)
    kind = kinds.add_parser("drive")
    kind.add_argument("--url")
    kind.add_argument("--policy")
    kind.add_argument("--seconds", type=float)
    kind.add_argument("--rate", type=float)
    kind.add_argument("--at-once", type=int)
    kind.set_defaults(run=lambda options: uvloop.run(drive(options)) or 0)
    options = parser.parse_args()
    done: int = options.run(options)
    return done


if __name__ == "__main__":
    raise SystemExit(main())
