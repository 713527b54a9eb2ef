"""What happens to requests and slots of three gateways while one of them or their Redis fails."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from aiohttp import web

from claims import Claim, publish
from processes import free_port
from redis_server import redis_server

GATEWAYS = 3
HUNG_S = 45.0


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
    """Kill a gateway, restart Redis, take it away and let it hang, in turn; the exit status."""
    return asyncio.run(_faults(options))


async def _faults(options: argparse.Namespace) -> int:
    slots = options.slots
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        with redis_server(folder) as redis:
            async with CountingBackend(options.takes) as backend:
                command = f"serve --backend {backend.url} --max-concurrency {slots} --policy fcfs"
                command += f" --set queue={redis.url} --set log.requests_db=null --set models=[]"
                headway = [str(Path(sys.executable).with_name("headway")), *command.split()]
                ports = [free_port() for _ in range(GATEWAYS)]
                urls = [f"http://127.0.0.1:{port}" for port in ports]

                def start(number: int) -> subprocess.Popen[bytes]:
                    log = (folder / f"gateway{number}.log").open("ab")
                    with log:
                        return subprocess.Popen(
                            [*headway, "--port", str(ports[number])], stdout=log, stderr=log
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
