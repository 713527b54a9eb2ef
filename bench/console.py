"""What an open console costs the gateway: 64 slots busy, 10,000 requests waiting.

    python bench/console.py [--waiting 10000] [--pairs 9] [--seconds 4]

A fake backend streams ten tokens a second to each of 64 requests; 10,000 others wait, and whoever
has its answer asks again. Meanwhile a client asks for `/v1/models` 200 times a second, on
connections of its own. By turns nobody looks and one console is open, then nobody and three; what
counts is the median over pairs of the gateway's CPU time and of that client's p99.
Before that, a real browser opens the page in fresh profiles. The gateway has one core, and its
clients and the backend have the other. Needs `chromium`, and as many file descriptors
(`ulimit -n`) in this process and in the gateway.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp
import numpy as np
from playwright.async_api import async_playwright

from by_turns import CORES, effect, pairs, pin
from claims import Claim, publish
from http_load import open_loop
from processes import Server, allow_files, fake_backend, gateway

SLOTS = 64
ANSWER_S = 10.0
"""What the backend takes for its hundred tokens."""
QUIET = ("--set", "limits.keep_alive_s=3600")
"""Comments in the streams that wait come every ten seconds by default, and are no matter here."""
SETTLE_S = 1.5
PER_S = 200.0
MODELS = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PAINTS = 9
NOTE_WHEN_SEEN = """
const look = () => {
  if (document.querySelector('dl.figures')) window.seenAt = performance.now()
  else requestAnimationFrame(look)
}
requestAnimationFrame(look)
"""
SEEN = "new Promise(done => requestAnimationFrame(() => done(window.seenAt)))"
PAINT = """new Promise(done => new PerformanceObserver(list => {
  for (const one of list.getEntriesByName('first-contentful-paint')) done(one.startTime)
}).observe({ type: 'paint', buffered: true }))"""
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


class Window(NamedTuple):
    """What was measured with so many consoles open."""

    cpu_percent: float
    """Of a core, by the gateway."""
    p99_ms: float
    """Of the client that does not look."""


async def window(server: Server, consoles: int, seconds: float) -> Window:
    """Open so many consoles, and measure once they have settled."""
    async with aiohttp.ClientSession() as session:
        watchers = [
            asyncio.ensure_future(watch(session, server, first=1000 * number))
            for number in range(consoles)
        ]
        rng = np.random.default_rng()
        client = asyncio.ensure_future(
            open_loop(server.port, [MODELS], PER_S, SETTLE_S, seconds, rng)
        )
        await asyncio.sleep(SETTLE_S)
        cpu_s, began_s = server.cpu_s, time.perf_counter()
        await asyncio.sleep(seconds)
        share = 100 * (server.cpu_s - cpu_s) / (time.perf_counter() - began_s)
        measured = await client
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
    return Window(share, measured.percentile_ms(99))


async def first_paint_ms(server: Server) -> tuple[float, float]:
    """When a real browser shows first content, and when the queue; medians over fresh profiles."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        painted, seen = [], []
        for _ in range(PAINTS):
            context = await browser.new_context()
            await context.add_init_script(NOTE_WHEN_SEEN)
            page = await context.new_page()
            await page.goto(f"{server.url}/console")
            await page.wait_for_selector("dl.figures")
            painted.append(await page.evaluate(PAINT))
            seen.append(await page.evaluate(SEEN))
            await context.close()
    return statistics.median(painted), statistics.median(seen)


async def fill(server: Server, waiting: int) -> None:
    """Let so many requests wait behind those that run, which begin one after another."""
    loop = asyncio.get_running_loop()

    async def ask(number: int) -> None:
        await loop.create_connection(lambda: Client(number), "127.0.0.1", server.port)

    for number in range(SLOTS):
        await ask(number)
        await asyncio.sleep(ANSWER_S / SLOTS)
    for start in range(SLOTS, waiting + SLOTS, 100):
        await asyncio.gather(*map(ask, range(start, min(start + 100, waiting + SLOTS))))
    async with aiohttp.ClientSession() as session, asyncio.timeout(120):
        depth = 0
        while depth < waiting - 100:
            await asyncio.sleep(0.5)
            async with session.get(server.url + "/v1/headway/queue?limit=1") as answer:
                depth = (await answer.json())["waiting"]


async def measure(
    server: Server, waiting: int, count: int, seconds: float
) -> dict[int, list[tuple[Window, Window]]]:
    """Pairs of windows without and with consoles, by the number of consoles."""
    await fill(server, waiting)
    gc.disable()  # its pauses would count as the gateway's
    return {
        consoles: await pairs(
            lambda: window(server, 0, seconds),
            lambda consoles=consoles: window(server, consoles, seconds),  # type: ignore[misc]
            count if consoles == 1 else count // 3,
        )
        for consoles in (1, 3)
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each window")
    parser.add_argument("--json", type=Path, default=Path("results/console.json"))
    options = parser.parse_args()
    allow_files(options.waiting + 300, parser)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with fake_backend() as backend, gateway(backend, folder, SLOTS) as through:
            paint_ms, seen_ms = asyncio.run(first_paint_ms(through))
        pin(0)
        with fake_backend("--pause", "0.1") as backend:
            pin(1)
            with gateway(backend, folder, SLOTS, *QUIET) as through:
                pin(0)
                found = asyncio.run(
                    measure(through, options.waiting, options.pairs, options.seconds)
                )
    cpu = {
        consoles: effect([having.cpu_percent - without.cpu_percent for without, having in windows])
        for consoles, windows in found.items()
    }
    p99 = effect([two.p99_ms / one.p99_ms for one, two in found[1]])
    print(f"first paint {paint_ms:.0f} ms, the queue is seen after {seen_ms:.0f} ms")
    for consoles, added in cpu.items():
        print(f"CPU that {consoles} consoles add, % of a core: {added}")
    print(f"p99 with one open, over that without: {p99}")
    claims = [
        Claim("first paint of the page, ms", paint_ms, 300),
        Claim("CPU that one console adds, % of a core", cpu[1].median, 3.0),
        Claim("CPU that three consoles add, % of a core", cpu[3].median, 3.0),
        Claim("p99 with a console open, over that without", p99.median, 1.2),
        Claim("the same, low end of its 95% interval", p99.low, 1.0),
    ]
    details = {
        "seen_ms": seen_ms,
        "cpu_percent": cpu,
        "windows": found,
        "cores": len(CORES),
        "load": os.getloadavg(),
    }
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
