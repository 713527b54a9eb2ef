"""An hour of a little too much load on the embedded engine, with clients that leave at random.

    python bench/soak.py [--minutes 60] [--load 1.1] [--json results/soak.json]

First the rate that the engine can sustain is measured, with a few requests more under way than it
has slots. Then requests come as a Poisson process at 1.1 times that rate. Six in ten clients leave:
before the first byte, in mid-stream, half-closed or with a reset (`leaving_clients.py`). Memory is
that of the gateway process and of the engine's, every few seconds; its slope is that of a straight
line through the samples after the first `--settle` minutes. At the end everything must be idle and
as many requests must run at once as there are slots.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from claims import Claim, publish
from headway.lab.loadtest.prompts import load_prompts
from headway.lab.loadtest.server import HeadwayServer
from kill import engine_pid, resident_pages
from leaving_clients import WAYS, Visit, visit

PAGES_PER_MB = 256
LEAVING = 0.6
MEAN_PATIENCE_S = 1.0
LIMIT_S = 300.0
IDLE_WITHIN_S = 60.0
SAMPLE_S = 5.0

Sample = tuple[float, float, float]
"""Seconds since the start, and MB of the gateway and of the engine."""


class Traffic:
    """Requests of 8 to 64 tokens on prompts that repeat."""

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._prompts = itertools.cycle(load_prompts())
        self.chance = random.Random(seed)

    def body(self, tokens: int) -> dict[str, object]:
        """The next request."""
        messages = next(self._prompts).messages
        return {"messages": messages, "max_tokens": tokens, "stream": True, "ignore_eos": True}

    async def visit(self, leaving: float) -> Visit:
        """The next client, which leaves with the probability `leaving`."""
        chance = self.chance
        leave = chance.choice(WAYS) if chance.random() < leaving else "stays"
        patience_s = chance.expovariate(1 / MEAN_PATIENCE_S)
        body = self.body(chance.randint(8, 64))
        return await visit(self._port, body, leave, patience_s, LIMIT_S)


async def queue_view(port: int) -> dict[str, Any]:
    """The gateway's own view of its queue."""
    url = f"http://127.0.0.1:{port}/v1/headway/queue"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        view: dict[str, Any] = await answer.json()
        return view


async def capacity(traffic: Traffic, slots: int, seconds: float) -> float:
    """Requests a second that the engine sustains."""
    done = 0
    end_s = time.monotonic() + seconds

    async def one_after_another() -> None:
        nonlocal done
        while time.monotonic() < end_s:
            await traffic.visit(0.0)
            done += 1

    begin_s = time.monotonic()
    await asyncio.gather(*(one_after_another() for _ in range(2 * slots)))
    return done / (time.monotonic() - begin_s)


async def until_idle(port: int) -> float:
    """Requests that are still there after IDLE_WITHIN_S; the sooner there are none the better."""
    end_s = time.monotonic() + IDLE_WITHIN_S
    while True:
        view = await queue_view(port)
        live: int = len(view["requests"]) + sum(backend["running"] for backend in view["backends"])
        if live == 0 or time.monotonic() > end_s:
            return live
        await asyncio.sleep(0.2)


async def most_at_once(traffic: Traffic, port: int, slots: int) -> int:
    """The most requests that run at once when twice as many come as there are slots."""
    clients = [
        asyncio.create_task(visit(port, traffic.body(64), "stays", 0.0, LIMIT_S))
        for _ in range(2 * slots)
    ]
    most = 0
    while not all(client.done() for client in clients):
        view = await queue_view(port)
        most = max(most, sum(backend["running"] for backend in view["backends"]))
        await asyncio.sleep(0.02)
    return most


async def soak(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything that was measured."""
    settings = {
        "slots": options.slots,
        "models": [],
        "log": {"level": "warning", "requests_db": str(folder / "requests.db")},
    }
    visits: list[Visit] = []
    samples: list[Sample] = []
    async with HeadwayServer(settings) as server:
        traffic = Traffic(server.port, options.seed)
        rate = options.rate or options.load * await capacity(
            traffic, options.slots, options.measure
        )
        print(f"{rate:.2f} requests/s for {options.minutes:g} minutes", flush=True)
        begin_s = time.monotonic()

        async def watch() -> None:
            while True:
                pages = resident_pages(server.pid), resident_pages(engine_pid(server.pid))
                gateway_mb, engine_mb = (each / PAGES_PER_MB for each in pages)
                samples.append((time.monotonic() - begin_s, gateway_mb, engine_mb))
                await asyncio.sleep(SAMPLE_S)

        async def one() -> None:
            visits.append(await traffic.visit(LEAVING))

        watching = asyncio.create_task(watch())
        async with asyncio.TaskGroup() as group:
            while time.monotonic() - begin_s < options.minutes * 60:
                group.create_task(one())
                await asyncio.sleep(traffic.chance.expovariate(rate))
        watching.cancel()
        left_over = await until_idle(server.port)
        most = await most_at_once(traffic, server.port, options.slots)
        log = server.log
    return {
        "rate": rate,
        "begin_s": begin_s,
        "visits": visits,
        "samples": samples,
        "left_over": left_over,
        "most_at_once": most,
        "log": log.splitlines()[-50:],
    }


def growth_mb_per_h(
    samples: list[tuple[float, float, float]], after_s: float, column: int
) -> float:
    """Slope of a straight line through the samples after `after_s`."""
    late = np.array([sample for sample in samples if sample[0] >= after_s])
    return float(np.polyfit(late[:, 0], late[:, column], 1)[0] * 3600)


def p99_s(visits: list[Visit], begin_s: float, end_s: float) -> float:
    """Of the answers to clients that came in that time and stayed."""
    answered = [
        one.latency_s for one in visits if one.outcome == "answered" and begin_s <= one.at_s < end_s
    ]
    return float(np.percentile(answered, 99)) if answered else float("inf")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--settle", type=float, help="minutes; a sixth of all unless given")
    parser.add_argument("--load", type=float, default=1.1)
    parser.add_argument("--rate", type=float, help="requests a second, instead of measuring")
    parser.add_argument("--measure", type=float, default=30.0, help="seconds, to find the rate")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, default=Path("results/soak.json"))
    options = parser.parse_args()
    options.json.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        measured = asyncio.run(soak(options, Path(folder)))
    visits, samples = measured["visits"], measured["samples"]
    outcomes = Counter(f"{one.leave}: {one.outcome}" for one in visits)
    for outcome, count in outcomes.most_common():
        print(f"{count:8} {outcome}")
    settle_s = (options.minutes / 6 if options.settle is None else options.settle) * 60
    third_s = options.minutes * 20
    begin_s = measured["begin_s"]
    middle_s, last_s = (
        p99_s(visits, begin_s + third_s * number, begin_s + third_s * (number + 1))
        for number in (1, 2)
    )
    wrong = [one for one in visits if one.outcome not in {"answered", "left", "429"}]
    claims = [
        Claim("growth of the gateway, MB an hour", growth_mb_per_h(samples, settle_s, 1), 16),
        Claim("growth of the engine, MB an hour", growth_mb_per_h(samples, settle_s, 2), 32),
        Claim("requests left over at the end", measured["left_over"], 0),
        Claim("requests at once at the end", measured["most_at_once"], options.slots, False),
        Claim("p99 latency, last third ÷ middle third", last_s / middle_s, 1.3),
        Claim("clients that got neither an answer nor left", len(wrong), 0),
    ]
    details = {
        "settings": {name: str(value) for name, value in vars(options).items()},
        "rate": measured["rate"],
        "clients": len(visits),
        "outcomes": outcomes,
        "p99_s": {"middle third": middle_s, "last third": last_s},
        "memory": samples,
        "wrong": [asdict(one) for one in wrong],
        "log": measured["log"],
    }
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
