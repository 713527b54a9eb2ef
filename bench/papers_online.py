"""Requests that come one after the other under vllm-ltr's schedulers (Fu et al., NeurIPS 2024).

Their figure: mean seconds per output token over request rates, up to 6.9 times less than FCFS at
64 requests/s; SRTF, which knows the lengths, stands beside it. Rates cannot be matched, since what
their engine could have done is not stated: so the loads go up until ours reaches theirs. At a high
load a run of fixed length becomes a burst, and its gain that of the burst.

Two more figures that papers state of such runs: the mean of waiting over service, which a predicted
order halves and brings near that of the oracle, and 5.3 times lower mean latency by SJF under high
demand.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.measures import alone_s, measures_of
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace
from papers_burst import EVERY_ITERATION, SETTINGS, Scores, at_tau
from published import Figure
from real_sizes import drawn

TITLE = "online, FCFS over it"
REQUESTS = 4000
LOADS = (0.9, 1.0, 1.2, 1.5, 2.0, 4.0)
"""Of what the engine can do."""
NAMES = ("8B, ShareGPT", "8B, LMSYS")
CONTENDERS = {
    "FCFS": ("fcfs", False),
    "LTR": ("ltr", False),
    "SJF": ("sjf", False),
    "SRTF, oracle": ("srpt", True),
}
"""Policy, and whether it knows the lengths; else they have errors of the published tau."""
GAINS: dict[tuple[str, str], tuple[float, ...]] = {
    ("LTR", "s/token"): (6.9,),
    ("SJF", "latency"): (5.3,),
    ("LTR", "waiting over service"): (2.0,),
}
"""The most that was published, over all rates."""
MEASURES = ("s/token", "latency", "waiting over service")

Task = tuple[str, float, str, int]
"""Setting, load, contender and seed."""


def tasks(seeds: int) -> list[Task]:
    """All that is to be simulated."""
    return [
        (name, load, label, seed)
        for name in NAMES
        for load in LOADS
        for label in CONTENDERS
        for seed in range(seeds)
    ]


@cache
def site_of(name: str) -> Site:
    """The engine of a setting, with its memory on the GPU."""
    setting = SETTINGS[name]
    kv_tokens = int(setting.gpu_kv_bytes / setting.token_bytes)
    return Site(name, replace(setting.engine, kv_tokens=kv_tokens))


@cache
def traffic_of(name: str, seed: int) -> tuple[Trace, float]:
    """The requests of a seed, and how many of them the engine can do in a second."""
    rng = np.random.default_rng(seed)
    sizes = SETTINGS[name].sizes()
    fits = (sizes.prompts >= 4) & (sizes.prompts <= 1024) & (sizes.outputs >= 4)
    sizes = sizes.rows(drawn(np.flatnonzero(fits), REQUESTS, rng))
    arrivals = np.cumsum(rng.exponential(1.0, REQUESTS))
    trace = Trace(name, arrivals, sizes.prompts, sizes.outputs)
    return trace, capacity_rps(trace, [site_of(name)])


def run(task: Task) -> tuple[float, float, float]:
    """Mean seconds per token, mean latency, and mean waiting over service."""
    name, load, label, seed = task
    policy, oracle = CONTENDERS[label]
    trace, capacity = traffic_of(name, seed)
    trace, site = at_load(trace, capacity, load), site_of(name)
    scores = np.log2(trace.output_tokens)
    if not oracle:
        rng = np.random.default_rng(seed)
        scores = at_tau(trace.output_tokens, SETTINGS[name].tau, rng)
    settings = SchedulerSettings(policy=policy, preemption=EVERY_ITERATION)
    outcome = simulate(trace, [site], settings, Scores(scores))
    found = measures_of(trace, outcome, [site])
    waiting = float(np.mean(outcome.wait_s / alone_s(trace, site.profile)))
    return found.s_per_token.mean, found.latency_s.mean, waiting


def figures_of(done: dict[Task, tuple[float, float, float]], seeds: int) -> list[Figure]:
    """What FCFS takes over what each takes."""
    found = []
    for name in NAMES:
        for label in CONTENDERS:
            for which, measure in enumerate(MEASURES):
                if label == "FCFS":
                    continue
                for load in LOADS:
                    theirs = GAINS.get((label, measure), ())
                    if not all(done[name, load, "FCFS", seed][which] for seed in range(seeds)):
                        continue  # nobody waits
                    ours = tuple(
                        done[name, load, "FCFS", seed][which] / done[name, load, label, seed][which]
                        for seed in range(seeds)
                    )
                    found.append(
                        Figure(f"{name}, load {load:g}", f"{label}, {measure}", theirs, ours)
                    )
    return found
