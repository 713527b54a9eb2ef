"""`policy: auto` on the embedded engine: chat, code and reasoning at loads that drift.

    python bench/auto_live.py [--minutes 6] [--policy auto] [--json results/auto_live.json]

Answers have given lengths, which the gateway knows as limits only. A load of 1 is what a burst of
each phase's own requests was served at before. What each fixed policy would have done is a replay
of the phase over the profile of its own answers; the replay of what really ran says how far off
that is.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path

import aiohttp
import numpy as np

from headway.lab.loadtest.client import LoadClient
from headway.lab.loadtest.prompts import Prompt, load_prompts
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.loadtest.workload import LoadRequest, Workload

CODE = (
    "def merge(left, right):\n    out = []\n    while left and right:\n        out.append(left)\n"
)


@dataclass(frozen=True)
class Phase:
    """Requests of one kind. Answers are log-normal."""

    name: str
    mean_tokens: float
    spread: float
    most_tokens: int
    load: float
    code_lines: int = 0
    """Of a long prompt."""


PHASES = (
    Phase("chat", 40, 0.8, 200, 0.95),
    Phase("code", 15, 0.7, 60, 1.0, code_lines=24),
    Phase("reasoning", 60, 1.4, 600, 1.05),
)
CALIBRATION = 24
"""Requests of a phase that are sent at once before."""


def request_of(phase: Phase, prompts: Sequence[Prompt], at_s: float, rng: random.Random):
    tokens = rng.lognormvariate(log(phase.mean_tokens) - phase.spread**2 / 2, phase.spread)
    messages = rng.choice(prompts).messages
    if phase.code_lines:
        lines = "".join(rng.choices(CODE.splitlines(keepends=True), k=phase.code_lines))
        messages = ({"role": "user", "content": f"Complete {rng.random()}:\n{lines}"},)
    return LoadRequest(
        at_s, messages, max(1, min(phase.most_tokens, round(tokens))), ignore_eos=True
    )


async def capacity(client: LoadClient, phase: Phase, prompts: Sequence[Prompt]) -> float:
    """Requests a second of a burst."""
    rng = random.Random(7)
    burst = Workload(tuple(request_of(phase, prompts, 0.0, rng) for _ in range(CALIBRATION)))
    began_s = time.monotonic()
    await client.run(burst)
    return CALIBRATION / (time.monotonic() - began_s)


async def measure(options: argparse.Namespace) -> int:
    prompts = load_prompts(None, None)
    rng = random.Random(options.seed)
    folder = tempfile.mkdtemp(prefix="headway-auto-")
    log_path = Path(options.log or Path(folder) / "requests.db")
    settings = {
        "policy": options.policy,
        "slots": 4,
        "auto": {"every_s": options.every, "window_s": options.window},
        "log": {"level": "info", "requests_db": str(log_path)},
    }
    async with (
        HeadwayServer(settings) as server,
        LoadClient(server.url, "default", "", 3600) as client,
    ):
        rates = [await capacity(client, phase, prompts) for phase in PHASES]
        print("capacity, requests/s:", [round(rate, 2) for rate in rates], flush=True)
        requests, bounds, at_s = [], [], 0.0
        for phase, rate in zip(PHASES, rates, strict=True):
            end_s = at_s + 60.0 * options.minutes
            first = len(requests)
            while (at_s := at_s + rng.expovariate(phase.load * rate)) < end_s:
                requests.append(request_of(phase, prompts, at_s, rng))
            bounds.append((first, len(requests)))
            at_s = end_s
        outcomes = await client.run(Workload(tuple(requests)))
        async with aiohttp.ClientSession() as session:
            root = server.url.removesuffix("/v1")
            async with session.get(f"{root}/v1/headway/policy") as answer:
                view = await answer.json()
        lines = [line for line in server.log.splitlines() if "policy" in line]
    for phase, (first, last) in zip(PHASES, bounds, strict=True):
        latency_s = np.array([one.latency_s for one in outcomes[first:last]])
        print(
            f"{phase.name}: {last - first} requests, mean {latency_s.mean():.2f} s, "
            f"p99 {np.quantile(latency_s, 0.99):.2f} s"
        )
    print(view)
    print("\n".join(lines))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--policy", default="auto")
    parser.add_argument("--minutes", type=float, default=6.0, help="of each phase")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between replays")
    parser.add_argument("--window", type=float, default=300.0, help="seconds of traffic replayed")
    parser.add_argument("--log", type=Path, help="request log to keep")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path("results/auto_live.json"))
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
