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
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np

from claims import Claim, publish
from headway.lab.loadtest.client import LoadClient
from headway.lab.loadtest.prompts import Prompt, load_prompts
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.loadtest.workload import LoadRequest, Workload
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.choice import choose
from headway.lab.simulation.importers.request_log import answered
from headway.lab.simulation.logged_profile import logged_sites
from headway.lab.simulation.recent import recent_traffic
from headway.lab.simulation.settings import served_settings
from headway.store.request_record import RequestRecord

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
SLOTS = 4
EMBEDDED = "embedded"
CALIBRATION = 24
"""Requests of a phase that are sent at once before."""


def request_of(
    phase: Phase, prompts: Sequence[Prompt], at_s: float, rng: random.Random
) -> LoadRequest:
    """One request of `phase`."""
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
    settings = {
        "policy": options.policy,
        "slots": SLOTS,
        "auto": {"every_s": options.every, "window_s": options.window},
        "log": {"level": "info", "requests_db": str(options.log)},
    }
    async with (
        HeadwayServer(settings) as server,
        LoadClient(server.url, "default", "", 3600) as client,
    ):
        rates = [await capacity(client, phase, prompts) for phase in PHASES]
        requests: list[LoadRequest] = []
        ends_s: list[float] = []
        at_s = 0.0
        for phase, rate in zip(PHASES, rates, strict=True):
            ends_s.append((ends_s[-1] if ends_s else 0.0) + 60.0 * options.minutes)
            while (at_s := at_s + rng.expovariate(phase.load * rate)) < ends_s[-1]:
                requests.append(request_of(phase, prompts, at_s, rng))
            at_s = ends_s[-1]
        began_unix_s = time.time()
        await client.run(Workload(tuple(requests)))
        lines = [
            line
            for line in server.log.splitlines()
            if "policy" in line and "headway.request" not in line
        ]
    records = answered(options.log)
    ends_unix_s = [began_unix_s + end_s for end_s in ends_s]
    claims, rows = judged(records, ends_unix_s, 60.0 * options.minutes)
    headings = ["phase", "requests", "policy", "mean s", "p99 s", "p99 of fcfs"]
    show(table_console(), Results(headings, rows))
    print("\n".join(lines))
    return publish(claims, {"rows": rows, "capacity": rates, "log": lines}, options.json)


def judged(
    records: Sequence[RequestRecord], ends_unix_s: Sequence[float], phase_s: float
) -> tuple[list[Claim], list[list[str]]]:
    """What each phase was served like, and what a replay of it says of the fixed policies."""
    settings = served_settings()
    claims, rows = [], []
    for phase, end_unix_s in zip(PHASES, ends_unix_s, strict=True):
        until = [record for record in records if record.arrival_unix_s < end_unix_s]
        recent = recent_traffic(until, [], phase_s, phase.name)
        sites = logged_sites(until, {EMBEDDED: SLOTS})
        choice = choose(recent, sites, settings, "fcfs")
        real_s = recent.latency_s[recent.trace.waited_s == 0.0]
        mean_s, p99_s = float(real_s.mean()), float(np.quantile(real_s, 0.99))
        rows.append([phase.name, str(len(real_s)), "as served", f"{mean_s:.2f}", f"{p99_s:.1f}"])
        if choice.evidence is not None:
            error = choice.evidence.error
            claims.append(Claim(f"{phase.name}: replay of what was served, off by", error, 0.3))
        if not choice.replayed:
            print(f"{phase.name}: {choice.reason}")
            continue
        by_policy = {one.policy: one for one in choice.replayed}
        fcfs = by_policy["fcfs"]
        rows[-1].append(f"{p99_s / fcfs.p99_s:.2f}")
        for one in choice.replayed:
            numbers = [f"{one.mean_s:.2f}", f"{one.p99_s:.1f}", f"{one.p99_s / fcfs.p99_s:.2f}"]
            rows.append([phase.name, str(choice.requests), f"{one.policy}, replayed", *numbers])
        best_s = min(one.mean_s for one in choice.replayed if one.keeps_tail)
        claims += [
            Claim(f"{phase.name}: mean over the best replayed", mean_s / best_s, 1.05),
            Claim(f"{phase.name}: p99 over fcfs replayed", p99_s / fcfs.p99_s, settings.boost.tail),
        ]
    return claims, rows


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--policy", default="auto")
    parser.add_argument("--minutes", type=float, default=6.0, help="of each phase")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between replays")
    parser.add_argument("--window", type=float, default=300.0, help="seconds of traffic replayed")
    parser.add_argument("--log", type=Path, default=Path("results/auto_live.db"), help="new file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path("results/auto_live.json"))
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
