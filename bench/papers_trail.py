"""TRAIL's gain on Alpaca (Shahout et al., ICLR 2025).

Their setup: Llama-3-8B-Instruct on one A100 with 80 GB, vLLM 0.5.0 with chunked prefill (512
tokens, 256 requests), 10,000 prompts of Alpaca as a Poisson process, answers of up to 512 tokens;
c = 0.8; out of memory, a request is discarded and computed anew. Here Vicuna-7B's answers to
Alpaca, sampled at a temperature of 0.7 and cut at 512, stand for those of Llama-3-8B.

Predictions: TRAIL predicts a length from the prompt, and refines it with every token. Here the
estimate is a distribution around the real length with log-normal errors, of such a size that the
mean absolute error is theirs, refined by the tokens that came: a request that outlived part of the
distribution is expected in the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from headway.core.estimate import SizeEstimate
from headway.core.policies import POLICIES
from headway.core.policies.trail import Trail
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.measures import measures_of
from headway.lab.simulation.predictions import FromHistory, Noisy, Oracle, Predictions
from headway.lab.simulation.profiles import load_profile
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.trace import Trace
from papers_burst import EVERY_ITERATION, FirstRuns, FreeStops
from published import Figure
from real_sizes import drawn, sizes_of

TITLE = "TRAIL, FCFS over it"
REQUESTS = 10_000
LONGEST = 512
ENGINE = FreeStops("a100", replace(load_profile("llama-3.1-8b-a100"), batch_tokens=512, slots=256))
LOADS = (0.9, 1.0, 1.05, 1.1, 1.2, 1.3)
"""Of what the engine can do; their rates are stated, what their engine could do is not."""
GAINS: dict[str, tuple[float, ...]] = {
    "latency": (1.66, 2.01),
    "TTFT": (1.76, 24.07),
    "median TTFT": (),
}
"""FCFS over TRAIL, least and most over their rates."""


class TrailOfThePaper(FirstRuns, Trail):
    """Their TRAIL."""


THEIR_TRAIL = "trail of the paper"
POLICIES[THEIR_TRAIL] = TrailOfThePaper


@dataclass(frozen=True)
class Contender:
    """A policy, and the mean absolute error of its predictor in tokens; 0: none."""

    policy: str
    error_tokens: float = 0.0
    c: float | None = None


CONTENDERS = {
    "FCFS": Contender("fcfs"),
    "TRAIL": Contender(THEIR_TRAIL, 46.1),
    "c = 1": Contender(THEIR_TRAIL, 46.1, 1.0),
    "probe from the start": Contender(THEIR_TRAIL, 33.9),
    "error of 90 tokens": Contender(THEIR_TRAIL, 90.2),
    "oracle": Contender("srpt"),
}
"""46.1 is the error of their first estimate and 33.9 that of the refined one; 90.2 is 2.66 times
that, as large as the abstract says that BERT's is."""

Task = tuple[float, str, int]
"""Load, contender and seed."""


class Bounded(Noisy):
    """A predictor that knows where answers are cut."""

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        estimate, score = super().predict(number)
        return estimate.capped(LONGEST), score


def tasks(seeds: int) -> list[Task]:
    """All that is to be simulated."""
    return [(load, label, seed) for load in LOADS for label in CONTENDERS for seed in range(seeds)]


@cache
def burst_of(seed: int) -> tuple[Trace, float]:
    """The requests of a seed, and how many of them the engine can do in a second."""
    rng = np.random.default_rng(seed)
    sizes = sizes_of([("alpaca52k_vicuna20k", "vicuna_7b_t0.7")])
    sizes = sizes.rows(drawn(np.arange(len(sizes)), REQUESTS, rng))
    arrivals = np.cumsum(rng.exponential(1.0, REQUESTS))
    trace = Trace("Alpaca", arrivals, sizes.prompts, np.minimum(sizes.outputs, LONGEST))
    return trace, capacity_rps(trace, [ENGINE])


@cache
def octaves_of(seed: int, error_tokens: float) -> float:
    """How large log-normal errors are that are off by so many tokens in the mean."""
    lengths = burst_of(seed)[0].output_tokens
    errors = np.random.default_rng(seed).normal(0.0, 1.0, len(lengths))
    low, high = 0.0, 8.0
    while high - low > 0.01:
        octaves = (low + high) / 2.0
        predicted = np.minimum(lengths * 2.0 ** (octaves * errors), LONGEST)
        if np.abs(predicted - lengths).mean() < error_tokens:
            low = octaves
        else:
            high = octaves
    return low


def run(task: Task) -> tuple[float, float, float]:
    """Mean latency, mean and median time to first token."""
    load, label, seed = task
    contender = CONTENDERS[label]
    trace, capacity = burst_of(seed)
    trace = at_load(trace, capacity, load)
    predictions: Predictions
    if contender.error_tokens:
        predictions = Bounded(trace, octaves_of(seed, contender.error_tokens), seed)
    else:
        predictions = Oracle(trace) if contender.policy == "srpt" else FromHistory(trace)
    preemption = replace(EVERY_ITERATION, trail_c=contender.c)
    settings = SchedulerSettings(policy=contender.policy, preemption=preemption)
    outcome = simulate(trace, [ENGINE], settings, predictions)
    found = measures_of(trace, outcome, [ENGINE])
    return found.latency_s.mean, found.ttft_s.mean, found.ttft_s.p50


def figures_of(done: dict[Task, tuple[float, float, float]], seeds: int) -> list[Figure]:
    """What FCFS takes over what each takes."""
    found = []
    for load in LOADS:
        for label in CONTENDERS:
            if label == "FCFS":
                continue
            for which, (name, theirs) in enumerate(GAINS.items()):
                ours = tuple(
                    done[load, "FCFS", seed][which] / done[load, label, seed][which]
                    for seed in range(seeds)
                )
                of_paper = theirs if label == "TRAIL" else ()
                found.append(Figure(f"load {load:g}", f"{label}, {name} gain", of_paper, ours))
    return found
