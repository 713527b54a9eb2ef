"""What an open console costs the gateway: 64 slots busy, 10,000 requests waiting.

    python bench/console.py [--waiting 10000] [--seconds 8] [--json results/console.json]

A fake backend streams ten tokens a second to each of 64 requests; 10,000 others wait, and whoever
has its answer asks again. Meanwhile a client asks for `/v1/models` fifty times a second, on a
connection of its own. In turn nobody looks, one console is open and three are, three times each;
the median of the gateway's CPU time and of that client's latency count. Before that, a real browser
opens the page in fresh profiles. Needs `chromium`, and as many file descriptors (`ulimit -n`) in
this process and in the gateway.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp
from playwright.async_api import async_playwright

from claims import Claim, publish
from processes import Server, allow_files, fake_backend, gateway

SLOTS = 64
ROUNDS = 3
CONSOLES = (0, 1, 3)
PAINTS = 7
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
PROMPT = "Tell me everything that is known about the history of lighthouses. " * 6


class Client(asyncio.Protocol):
    """Asks, reads the stream to its end, and asks again."""

    def __init__(self, number: int) -> None:
        message = {"role": "user", "content": f"{number}: {PROMPT}"}
        body = json.dumps(
            {"model": "fake", "messages": [message], "max_tokens": 500, "stream": True}
        ).encode()
        tier = ("interactive", "standard", "batch")[number % 3]
        self._request = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nx-headway-tier: {tier}\r\n"
            f"x-headway-tenant: tenant-{number % 7}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"0\r\n\r\n"):
            self._transport.write(self._request)


async def watch(session: aiohttp.ClientSession, server: Server, first: int) -> None:
    """An open console, which shows fifty rows."""
    url = f"{server.url}/console/api/live?first={first}&rows=50"
    async with session.get(url, timeout=aiohttp.ClientTimeout(None)) as stream:
        async for _ in stream.content.iter_any():
            pass


async def latencies_ms(session: aiohttp.ClientSession, server: Server, until_s: float) -> list:
    """Of `/v1/models`, fifty times a second."""
    found = []
    while (began_s := time.perf_counter()) < until_s:
        async with session.get(server.url + "/v1/models") as answer:
            await answer.read()
        took_s = time.perf_counter() - began_s
        found.append(took_s * 1000)
        await asyncio.sleep(max(0.0, 0.02 - took_s))
    return found


async def phase(server: Server, consoles: int, seconds: float) -> tuple[float, float]:
    """CPU of the gateway in percent, and p99 of the client in ms, with so many consoles open."""
    async with aiohttp.ClientSession() as session:
        watchers = [
            asyncio.ensure_future(watch(session, server, first=1000 * number))
            for number in range(consoles)
        ]
        await asyncio.sleep(1.5)
        cpu_s, began_s = server.cpu_s, time.perf_counter()
        took_ms = await latencies_ms(session, server, began_s + seconds)
        share = 100 * (server.cpu_s - cpu_s) / (time.perf_counter() - began_s)
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
    return share, statistics.quantiles(took_ms, n=100)[98]


async def first_paint_ms(server: Server) -> float:
    """Time to the first content of the page in a fresh profile of a real browser, the median."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        found = []
        for _ in range(PAINTS):
            context = await browser.new_context()
            page = await context.new_page()
            await page.goto(f"{server.url}/console")
            await page.get_by_role("heading", name="Now").wait_for()
            found.append(await page.evaluate(PAINT))
            await context.close()
    return statistics.median(found)


async def measure(server: Server, waiting: int, seconds: float) -> dict[int, list]:
    """What each phase measured, by the number of consoles."""
    loop = asyncio.get_running_loop()
    host, port = server.url.removeprefix("http://").split(":")
    for start in range(0, waiting + SLOTS, 100):
        numbers = range(start, min(start + 100, waiting + SLOTS))
        await asyncio.gather(
            *(
                loop.create_connection(lambda n=n: Client(n), host, int(port))  # type: ignore[misc]
                for n in numbers
            )
        )
    async with aiohttp.ClientSession() as session, asyncio.timeout(120):
        depth = 0
        while depth < waiting - 100:
            await asyncio.sleep(0.5)
            async with session.get(server.url + "/v1/headway/queue?limit=1") as answer:
                depth = (await answer.json())["waiting"]
    found: dict[int, list] = {consoles: [] for consoles in CONSOLES}
    for _ in range(ROUNDS):
        for consoles in CONSOLES:
            found[consoles].append(await phase(server, consoles, seconds))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--json", type=Path, default=Path("results/console.json"))
    options = parser.parse_args()
    allow_files(options.waiting + 300, parser)
    with (
        tempfile.TemporaryDirectory() as name,
        fake_backend("--pause", "0.1") as backend,
        gateway(backend, Path(name), SLOTS) as through,
    ):
        paint_ms = asyncio.run(first_paint_ms(through))
        found = asyncio.run(measure(through, options.waiting, options.seconds))
    share = {n: statistics.median(cpu for cpu, _ in rounds) for n, rounds in found.items()}
    p99_ms = {n: statistics.median(p99 for _, p99 in rounds) for n, rounds in found.items()}
    claims = [
        Claim("first paint of the page, ms", paint_ms, 300),
        Claim("CPU that one console adds, % of a core", share[1] - share[0], 3.0),
        Claim("CPU that three consoles add, % of a core", share[3] - share[0], 3.0),
        Claim("p99 with a console open, over that without", p99_ms[1] / p99_ms[0], 1.2),
    ]
    return publish(claims, {"cpu_percent": share, "p99_ms": p99_ms, "rounds": found}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
