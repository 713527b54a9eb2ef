"""Steps of a run that share a prefix: what it gains that they go to the backend that has it.

    HEADWAY_DATA=../shared/data python bench/run_prefixes.py [--quick]

Text-to-SQL runs of text_to_sql.py, each on a database of its own: all prompts of a run begin with
the same schema of 2,048 tokens. And real sessions of agents (LMCache), whose calls go on from the
context of the one before, on two RTX PRO 6000. Engines keep prefixes as their memory allows (the
simulator's model of a prefix cache). `led`: placement knows the prefix of a request, as in the
gateway; `unled`: it does not, and a request goes where it would be done first.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from multiprocessing import Pool
from pathlib import Path
from unittest.mock import patch

import numpy as np

from claims import Claim, publish
from headway.core.settings import SchedulerSettings
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.engine_request import EngineRequest
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.predictions import Predictions
from headway.lab.simulation.prefix_cache import PrefixCache
from headway.lab.simulation.requests import TraceRequests
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.site_list import sites_of
from headway.lab.simulation.trace import BLOCK_TOKENS, Trace
from real_sizes import data
from runs import PROFILE, SLOTS, TRACES, Remembering, drawn, folds_of
from text_to_sql import Learnt, sites_and_trace

SCHEMA_BLOCKS = 4
POLICIES = ("fcfs", "run-fcfs", "slack")
LOADS = (0.6, 1.0)
DEADLINE_S = 100.0


def queries(seed: int, count: int, load: float) -> tuple[list[Site], Trace, Predictions]:
    """Text-to-SQL runs with a schema each."""
    sites, trace, history = sites_and_trace(seed, count, load)
    hashes = [
        tuple(
            SCHEMA_BLOCKS * run + block
            for block in range(min(SCHEMA_BLOCKS, int(tokens) // BLOCK_TOKENS))
        )
        for run, tokens in zip(trace.runs.tolist(), trace.prompt_tokens, strict=True)
    ]
    return sites, replace(trace, prefix_hashes=hashes), Learnt(trace, history)


def sessions(seed: int, count: int, load: float) -> tuple[list[Site], Trace, Predictions]:
    """Sessions of agents."""
    rng = np.random.default_rng(seed)
    file, _ = TRACES["agents (LMCache)"]
    history = load_trace(data() / "traces" / file)
    folds = folds_of(history, rng)
    trace, numbers = drawn(history, count, rng)
    sites = sites_of(f"{PROFILE}*2", SLOTS)
    trace = at_load(trace, capacity_rps(trace, sites), load)
    return sites, trace, Remembering(trace, history, (folds, folds[numbers]))


def ran(task: tuple[int, int, float, str, bool, bool]) -> tuple[float, float, float]:
    """Share of prompt tokens that were computed; mean and 95% latency of runs."""
    seed, count, load, policy, led, agents = task
    if agents:
        sites, trace, predictions = sessions(seed, count, load)
    else:
        sites, trace, predictions = queries(seed, count, load)
    if policy == "slack":
        trace = replace(trace, run_deadline_s=np.full(len(trace), DEADLINE_S))
    cached = dict[int, int]()
    found = PrefixCache.found

    def counted(cache: PrefixCache, request: EngineRequest) -> int:
        tokens = found(cache, request)
        cached.setdefault(request.number, min(tokens, request.prompt_tokens))
        return tokens

    prefix = TraceRequests._prefix if led else lambda self, number: 0
    with (
        patch.object(PrefixCache, "found", counted),
        patch.object(TraceRequests, "_prefix", prefix),
    ):
        settings = SchedulerSettings(policy=policy, on_missed_deadline="downgrade")
        outcome = simulate(trace, sites, settings, predictions)
    latency_s = outcome.run_latency_s(trace.runs)
    computed = 1.0 - sum(cached.values()) / float(trace.prompt_tokens.sum())
    return computed, float(latency_s.mean()), float(np.quantile(latency_s, 0.95))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=150)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="one draw of 60 runs")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, default=Path("results/run_prefixes.json"))
    options = parser.parse_args()
    if options.quick:
        options.runs, options.draws = 60, 1
    cases = [
        (agents, load, policy)
        for agents in (False, True)
        for load in LOADS
        for policy in (POLICIES[:2] if agents else POLICIES)
    ]
    tasks = [
        (seed, options.runs, load, policy, led, agents)
        for agents, load, policy in cases
        for led in (True, False)
        for seed in range(options.draws)
    ]
    with Pool(options.processes) as pool:
        every = np.array(pool.map(ran, tasks, chunksize=1))
    every = every.reshape(len(cases), 2, options.draws, 3)
    rows, claims = [], []
    for (agents, load, policy), (led, unled) in zip(cases, every, strict=True):
        ratio = [float(one) for one in np.median(led / unled, axis=0)]
        shares = (f"{np.median(one[:, 0]):.0%}" for one in (unled, led))
        what = "agents" if agents else "text-to-SQL"
        rows.append([what, f"{load:g}", policy, *shares, *(f"{one:.2f}" for one in ratio[1:])])
        claims.append(
            Claim(
                f"{what}, load {load:g}, {policy}: prompt tokens computed, led / unled",
                ratio[0],
                1.0,
            )
        )
        claims.append(
            Claim(f"{what}, load {load:g}, {policy}: mean latency, led / unled", ratio[1], 1.0)
        )
    headings = [
        "traffic",
        "load",
        "policy",
        "computed unled",
        "computed led",
        "mean s /",
        "p95 s /",
    ]
    show(table_console(), Results(headings, rows))
    return publish(claims, {"found": every.tolist()}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
