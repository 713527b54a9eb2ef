"""The same as `batch_beside.py`, on virtual time: many shapes of lines, and no noise.

    python bench/batch_beside_simulated.py [--requests 1500] [--rate 1]

Interactive requests come as a Poisson process to the shipped profile of the embedded engine, alone
and beside a batch whose lines wait from the beginning, with prompts in pieces and with whole ones.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from claims import Claim, publish
from headway.core.request import Tier
from headway.core.settings import SchedulerSettings
from headway.lab.report.terminal import table_console
from headway.lab.simulation.predictions import Oracle
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.profiles import load_profile
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

PROFILE = "smollm2-135m-2-cores"
SHAPES = ((60, 16), (60, 64), (60, 200), (300, 64), (1000, 64))
"""Lines: tokens of prompts and of answers."""
CHAT = (45, 24)
"""Interactive requests: the same."""
SETTLED_S = 60.0
"""What comes before is not counted."""
MOST_RATIO = 1.5


@dataclass(frozen=True)
class Found:
    """One run."""

    ttft_p50_s: float
    ttft_p99_s: float
    lines_per_s: float


def sizes(rng: np.random.Generator, mean: int, count: int) -> np.ndarray:
    """Lengths of prompts around `mean`."""
    return np.maximum(8, rng.normal(mean, mean / 4, count)).astype(np.int64)


def run(profile: Profile, options: argparse.Namespace, shape: tuple[int, int] | None) -> Found:
    """Interactive requests beside lines of `shape`; None: alone."""
    rng = np.random.default_rng(options.seed)
    count = options.requests
    arrivals_s = np.cumsum(rng.exponential(1.0 / options.rate, count))
    chats = sizes(rng, CHAT[0], count)
    lines = 0 if shape is None else int(5.0 * arrivals_s[-1])
    prompt, answer = shape or (1, 1)
    trace = Trace(
        "beside a batch",
        np.concatenate([np.zeros(lines), arrivals_s]),
        np.concatenate([sizes(rng, prompt, lines), chats]),
        np.repeat([answer, CHAT[1]], [lines, count]),
        tiers=[Tier.BATCH] * lines + [Tier.INTERACTIVE] * count,
    )
    outcome = simulate(
        trace, [Site("engine", profile)], SchedulerSettings(policy="fcfs"), Oracle(trace)
    )
    ttft_s = outcome.ttft_s[lines:][arrivals_s > SETTLED_S]
    p50_s, p99_s = np.percentile(ttft_s, [50, 99]).tolist()
    answered = int((outcome.ended_s[:lines] < arrivals_s[-1]).sum())
    return Found(p50_s, p99_s, answered / float(arrivals_s[-1]))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1500)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path("results/batch_beside_simulated.json"))
    options = parser.parse_args()
    pieces = load_profile(PROFILE)
    whole = replace(pieces, piecewise=False)
    idle = run(pieces, options, None)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("lines", "TTFT p50, p99", "over idle", "lines/s", "whole prompts", "lines/s"):
        table.add_column(heading, justify="right")
    claims, details = [], {}
    for shape in SHAPES:
        found, before = (run(profile, options, shape) for profile in (pieces, whole))
        name = f"{shape[0]} + {shape[1]} tokens"
        table.add_row(
            name,
            f"{1000 * found.ttft_p50_s:.0f}, {1000 * found.ttft_p99_s:.0f} ms",
            f"{found.ttft_p50_s / idle.ttft_p50_s:.2f}, {found.ttft_p99_s / idle.ttft_p99_s:.2f}",
            f"{found.lines_per_s:.2f}",
            f"{before.ttft_p50_s / idle.ttft_p50_s:.2f}, {before.ttft_p99_s / idle.ttft_p99_s:.2f}",
            f"{before.lines_per_s:.2f}",
        )
        ratio = found.ttft_p99_s / idle.ttft_p99_s
        claims.append(Claim(f"p99 TTFT, beside lines of {name} / idle", ratio, MOST_RATIO))
        details[name] = {"pieces": asdict(found), "whole": asdict(before)}
    table_console().print(table)
    print(f"idle: {1000 * idle.ttft_p50_s:.0f}, {1000 * idle.ttft_p99_s:.0f} ms")
    return publish(claims, {"idle": asdict(idle), "shapes": details}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
