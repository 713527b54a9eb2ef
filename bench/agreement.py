"""How much of an answer's length is in the prompt at all: what two answers to one prompt agree on.

    HEADWAY_DATA=../shared/data python bench/agreement.py

The second day of `bench/learned.py` on the embedded engine, four times: greedily, greedily with
hardly another penalty for repetition, and twice at a temperature of 0.7. Kendall's tau of the
lengths is the ceiling of every predictor from the prompt. And where requests are ordered by how
long another answer to their prompt was: which part of the gain of knowing this one's length that
has, for a burst on four slots whose answers take as long as they have tokens.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace
from heapq import heappop, heappush
from itertools import permutations
from pathlib import Path

import numpy as np

from claims import publish
from headway.lab.loadtest.client import LoadClient
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.loadtest.workload import Workload
from headway.prediction.learning.evaluation import kendall_tau
from learned import SETS, natural, prompts_of

TEMPERATURE = 0.7
OTHER_PENALTY = 1.12
SLOTS = 4
SHUFFLES = 50


async def lengths_of(load: Workload, options: argparse.Namespace) -> dict[str, np.ndarray]:
    """Output tokens of every request, by how it was answered."""
    other = [replace(request, repeat_penalty=OTHER_PENALTY) for request in load.requests]
    sampled = Workload(tuple(replace(r, temperature=TEMPERATURE) for r in load.requests))
    ways = {
        "greedy": load,
        "greedy, other penalty": Workload(tuple(other)),
        "sampled": sampled,
        "sampled again": sampled,
    }
    found = {}
    settings = {"policy": "fcfs", "slots": options.slots}
    async with HeadwayServer(settings) as server, LoadClient(server.url, "default", "", 3600) as c:
        for name, workload in ways.items():
            outcomes = await c.run(workload)
            failed = [outcome.error for outcome in outcomes if not outcome.ok]
            if failed:
                raise SystemExit(f"{len(failed)} requests failed: {failed[0]}")
            found[name] = np.array([outcome.output_tokens for outcome in outcomes], float)
    return found


def gain_captured(scores: np.ndarray, lengths: np.ndarray) -> float:
    """Of what the order of `lengths` gains over a chance one in mean latency: that of `scores`."""
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(SHUFFLES):
        came = rng.permutation(len(lengths))
        by_chance, by_scores, by_lengths = (
            _mean_latency(lengths[came[np.argsort(key[came], kind="stable")]])
            for key in (np.zeros(len(lengths)), scores, lengths)
        )
        gains.append((by_chance - by_scores) / (by_chance - by_lengths))
    return float(np.mean(gains))


def _mean_latency(lengths: np.ndarray) -> float:
    """Of a burst that is served in this order."""
    free_at = [0.0] * SLOTS
    ends = []
    for length in lengths.tolist():
        ends.append(heappop(free_at) + length)
        heappush(free_at, ends[-1])
    return float(np.mean(ends))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--json", type=Path, default=Path("results/agreement.json"))
    options = parser.parse_args()
    first_day = argparse.Namespace(
        sets=SETS, of_each=160, max_characters=1000, first_day=600, seed=0
    )
    _, prompts = prompts_of(first_day)
    load = natural(Workload.build(prompts, count=options.requests, max_tokens=options.max_tokens))
    lengths = asyncio.run(lengths_of(load, options))
    details: dict[str, object] = {"mean": {name: of.mean() for name, of in lengths.items()}}
    for one, other in permutations(lengths, 2):
        found = {
            "kendall_tau": kendall_tau(lengths[other], lengths[one]),
            "oracle_gain_captured": gain_captured(lengths[other], lengths[one]),
        }
        details[f"{other} tells {one}"] = found
        print(f"{other} tells {one}: " + ", ".join(f"{k} {v:.2f}" for k, v in found.items()))
    both = (lengths["sampled"] + lengths["sampled again"]) / 2.0
    share = gain_captured(both, lengths["greedy"])
    print(f"both samples tell greedy: oracle_gain_captured {share:.2f}")
    details["both samples tell greedy"] = {"oracle_gain_captured": share}
    return publish([], details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
