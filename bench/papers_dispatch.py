"""HexGen-Text2SQL's dispatch against round robin, on unlike engines (Peng et al., 2025).

Their setup (github.com/Relaxed-System-Lab/Hexgen-Flow): Llama-3.1-70B on four engines, A100, A100,
A6000 and L40S; queries of some 20 calls, one after the other. Here Llama-3.1-8B on A100, A100,
L40S and L40S, which take 1.6 to 1.7 times an A100's time; in their simulator the two slow ones take
1.8 to 1.9 times. Queries are made: their steps in order, with the mean sizes that their simulator
states, gamma distributed with a coefficient of variation of 0.3, and 0 to 10 calls that revise, 4
in the mean. Every engine serves first come, first served.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.predictions import Noisy
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site_list import sites_of
from headway.lab.simulation.trace import Trace
from published import Figure

TITLE = "HexGen, round robin over it"
QUERIES = 400
SITES = sites_of("llama-3.1-8b-a100*2,llama-3.1-8b-l40s*2")
LOADS = (0.5, 0.6, 0.7, 0.8)
"""Of what all engines can do with one queue."""
OCTAVES = 0.5
"""Errors of predicted lengths; theirs are the mean of each step."""
P95_GAIN = (1.41, 1.67)
"""vLLM over HexGen-Text2SQL, mean and most: its dispatch and its order within an engine."""
ROUND_ROBIN = "round_robin"
ROUTINGS = ("hexgen:0", "hexgen:0.2", "hexgen:0.5", "hexgen:0.8", "least_work", "shared")
LOOK_UP, KEYWORDS, CANDIDATE, REVISE = (308, 5), (667, 45), (11_748, 678), (5963, 79)
UNIT_TEST, MAKE_TEST, EVALUATE = (275, 4), (1109, 103), (961, 22)
BEFORE = (LOOK_UP, KEYWORDS, LOOK_UP, LOOK_UP, LOOK_UP, CANDIDATE, CANDIDATE)
AFTER = (UNIT_TEST, MAKE_TEST, UNIT_TEST, EVALUATE, UNIT_TEST)
"""Prompt and output tokens of the steps of a query, in the mean."""
SHAPE = 1 / 0.3**2

Task = tuple[float, str, int]
"""Load, routing and seed."""


def tasks(seeds: int) -> list[Task]:
    """All that is to be simulated."""
    return [
        (load, routing, seed)
        for load in LOADS
        for routing in (ROUND_ROBIN, *ROUTINGS)
        for seed in range(seeds)
    ]


@cache
def queries(seed: int) -> tuple[Trace, float]:
    """Queries at a rate of one a second, and how many calls all engines can do in a second."""
    rng = np.random.default_rng(seed)
    sizes: list[tuple[int, int]] = []
    programs, after, arrivals = [], [], []
    at_s = 0.0
    for query in range(QUERIES):
        at_s += rng.exponential(1.0)
        steps = (*BEFORE, *(REVISE,) * rng.binomial(10, 0.4), *AFTER)
        for step, size in enumerate(steps):
            after.append(len(sizes) - 1 if step else -1)
            sizes.append(size)
            programs.append(str(query))
            arrivals.append(at_s)
    tokens = np.array(sizes) * rng.gamma(SHAPE, 1 / SHAPE, (len(sizes), 2))
    tokens = np.maximum(1, np.rint(tokens)).astype(int)
    trace = Trace(
        "text2sql",
        np.array(arrivals),
        tokens[:, 0],
        tokens[:, 1],
        programs=programs,
        after=np.array(after),
        gap_s=np.zeros(len(sizes)),
    )
    return trace, capacity_rps(trace, SITES)


def run(task: Task) -> float:
    """The 95th percentile of a query's latency, from its first call to its last token."""
    load, routing, seed = task
    trace, capacity = queries(seed)
    trace = at_load(trace, capacity, load)
    settings, cluster = SchedulerSettings(policy="fcfs"), Cluster(routing)
    predictions = Noisy(trace, OCTAVES, seed)
    outcome = simulate(trace, SITES, settings, predictions, cluster=cluster)
    first = np.flatnonzero(trace.after < 0)
    last = np.append(first[1:], len(trace)) - 1
    return float(np.quantile(outcome.ended_s[last] - outcome.released_s[first], 0.95))


def figures_of(done: dict[Task, float], seeds: int) -> list[Figure]:
    """What round robin takes over what each takes."""
    return [
        Figure(
            f"load {load:g}",
            f"{routing}, p95 gain",
            P95_GAIN if routing.startswith("hexgen") else (),
            tuple(done[load, ROUND_ROBIN, s] / done[load, routing, s] for s in range(seeds)),
        )
        for load in LOADS
        for routing in ROUTINGS
    ]
