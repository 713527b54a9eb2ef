"""A burst of 2,000 requests under the schedulers of vllm-ltr (Fu et al., NeurIPS 2024, table 1).

Their scripts (github.com/hao-ai-lab/vllm-ltr, benchmarks/burst-*.sh) state the setup: A100 with
40 GB, one for the 8B model and eight for the 70B one; vLLM 0.4.1 with chunked prefill of 768
tokens and at most 256 requests; prompts of 4 to 1,024 tokens, answers of at least 4; order anew
in every iteration, and whom that stops is swapped out to the host's memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from math import ceil, inf, log
from typing import ClassVar

import numpy as np

from headway.core.backend import Backend
from headway.core.estimate import SizeEstimate
from headway.core.policies import POLICIES
from headway.core.policies.ltr import Ltr
from headway.core.policies.mlfq import Mlfq
from headway.core.policies.policy import Policy
from headway.core.request import Request
from headway.core.settings import PreemptionSettings, SchedulerSettings
from headway.lab.simulation.importers.rows import columns_of
from headway.lab.simulation.measures import measures_of
from headway.lab.simulation.predictions import Predictions
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.profiles import load_profile
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace
from headway.prediction.learning.evaluation import kendall_tau
from published import Figure
from real_sizes import Sizes, data, drawn, sizes_of

TITLE = "vllm-ltr, s/token"
REQUESTS = 2000
EVERY_ITERATION = PreemptionSettings(min_run_s=0.02, max_preemptions=1_000_000)
"""Ranks are compared about once per iteration."""
CLASS_TOKENS = 820
"""Of their classifier: ten classes up to 8,192 tokens."""


class FirstRuns(Policy):
    """The first in rank runs, whatever that costs."""

    def gain_s(self, waiting: Request, running: Request) -> float:
        return inf if self.rank(waiting) < self.rank(running) else 0.0


class FreeStops(Site):
    """An engine whose scheduler takes a stop to cost nothing."""

    @property
    def backend(self) -> Backend:
        found = super().backend
        return replace(found, cost=replace(found.cost, preempt_s=0.0, recompute_share=0.0))


class LtrOfThePaper(FirstRuns, Ltr):
    """Their LTR."""


class LtrMlfq(Mlfq):
    """Their MLFQ: each quantum `times` the one before, and a long prompt skips no level."""

    first_s: ClassVar[float] = 0.03
    times: ClassVar[float] = 10.0

    def rank(self, request: Request) -> float:
        attained_s = self.cost.decode_s_per_token * request.output_tokens
        quanta = attained_s * (self.times - 1.0) / self.first_s + 1.0
        return max(0.0, ceil(log(quanta, self.times)) - 1.0)


class LtrMlfqOfTwo(LtrMlfq):
    """As they set it for LMSYS."""

    times = 2.0


THEIR_LTR = "ltr of the paper"
POLICIES.update({"mlfq x10": LtrMlfq, "mlfq x2": LtrMlfqOfTwo, THEIR_LTR: LtrOfThePaper})


class Scores(Predictions):
    """A ranker that gave each request this score."""

    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores.tolist()

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        score = self._scores[number]
        return SizeEstimate.exactly(round(2.0**score)), score

    def finished(self, number: int) -> None:
        """Nothing new."""


@dataclass(frozen=True)
class Setting:
    """One column of their table, or a variation of it."""

    engine: Profile
    gpu_kv_bytes: float
    """Memory for the KV cache on all GPUs."""
    token_bytes: int
    mlfq: str
    tau: float
    """Kendall's tau of their ranker, as published for the 70B model."""
    published: dict[str, float]
    """Mean seconds per output token."""
    sizes: Callable[[], Sizes]


def share_gpt(model: str, arena_model: str) -> Callable[[], Sizes]:
    """Answers of the same model to what people asked, as ShareGPT's are."""
    return cache(lambda: sizes_of([("alpaca_eval", model), ("arena_hard_v0.1", arena_model)]))


@cache
def lmsys() -> Sizes:
    """Lengths of Vicuna-13B's answers to LMSYS-Chat-1M, with prompts of people's requests."""
    outputs = ssjf("output_tokens")
    prompts = share_gpt("Meta-Llama-3-8B-Instruct", "llama-3-8b-instruct")().prompts
    chosen = np.random.default_rng(0).integers(0, len(prompts), len(outputs))
    return Sizes(prompts[chosen], outputs)


def lmsys_of(model: str) -> Callable[[], Sizes]:
    """The same as long as `model` answers: lengths of equal rank among answers to one set."""

    @cache
    def sizes() -> Sizes:
        vicuna, other = (
            np.sort(sizes_of([("alpaca_eval", name)]).outputs) for name in ("vicuna-13b", model)
        )
        found = lmsys()
        longer = np.maximum(1, np.rint(np.interp(found.outputs, vicuna, other)))
        return Sizes(found.prompts, longer.astype(int))

    return sizes


def ssjf(column: str) -> np.ndarray:
    """A column of the record of a BERT predictor on LMSYS-Chat-1M."""
    path = data() / "traces/ssjf_vicuna13b_predictions.csv.gz"
    return np.array(columns_of(path, {column: float})[column], dtype=int)


GIB = 2.0**30
SMALL = replace(load_profile("llama-3.1-8b-a100"), batch_tokens=768, slots=256)
LARGE = replace(load_profile("qwen3-32b-rtxpro6000"), batch_tokens=768, slots=256)
"""The largest model there is a profile of."""
SMALL_KV_BYTES, SMALL_TOKEN = 0.9 * 40e9 - 16.1e9 - 2e9, 131_072
LARGE_KV_BYTES, LARGE_TOKEN = 8 * (0.9 * 40e9 - 2e9) - 141e9, 327_680
SETTINGS = {
    "8B, ShareGPT": Setting(
        SMALL,
        SMALL_KV_BYTES,
        SMALL_TOKEN,
        "mlfq x10",
        0.54,
        {"FCFS": 1.15, "MLFQ": 1.07, "classes": 1.13, "LTR": 0.56},
        share_gpt("Meta-Llama-3-8B-Instruct", "llama-3-8b-instruct"),
    ),
    "8B, LMSYS": Setting(
        SMALL,
        SMALL_KV_BYTES,
        SMALL_TOKEN,
        "mlfq x2",
        0.62,
        {"FCFS": 1.73, "MLFQ": 0.80, "classes": 1.77, "LTR": 0.38},
        lmsys,
    ),
    "70B, ShareGPT": Setting(
        LARGE,
        LARGE_KV_BYTES,
        LARGE_TOKEN,
        "mlfq x10",
        0.54,
        {"FCFS": 1.44, "MLFQ": 1.37, "classes": 1.26, "LTR": 0.78, "oracle": 0.46},
        share_gpt("Meta-Llama-3-70B-Instruct", "llama-3-70b-instruct"),
    ),
    "70B, LMSYS": Setting(
        LARGE,
        LARGE_KV_BYTES,
        LARGE_TOKEN,
        "mlfq x2",
        0.62,
        {"FCFS": 2.17, "MLFQ": 1.00, "classes": 2.23, "LTR": 0.54, "oracle": 0.34},
        lmsys,
    ),
}
AS_LONG = {
    "8B, LMSYS": "Meta-Llama-3-8B-Instruct",
    "70B, LMSYS": "Meta-Llama-3-70B-Instruct",
}
LONGER = "of Llama-3's length"
SETTINGS |= {
    f"{name}, {LONGER}": replace(SETTINGS[name], sizes=lmsys_of(model))
    for name, model in AS_LONG.items()
}
"""Why ours differ: Vicuna's answers are shorter than Llama-3's, and cut at 512 tokens."""
SWAP_GIB = {"FCFS": 16, "MLFQ": 200, "classes": 100, "LTR": 16, "oracle": 16}
"""Host memory that each of their runs may use; on top of what is on the GPU."""
HEADWAYS = "MLFQ as Headway sets it"
BERT = "LTR by BERT's classes"
"""With the errors that a real predictor made on these very requests, of about the same tau."""
LABELS = (*SWAP_GIB, HEADWAYS, BERT)

Task = tuple[str, str, int]
"""Setting, scheduler and seed."""


def tasks(seeds: int) -> list[Task]:
    """All that is to be simulated."""
    return [
        (name, label, seed)
        for name in SETTINGS
        for label in LABELS
        if label != BERT or name in AS_LONG  # whose requests the record is of
        for seed in range(seeds)
    ]


def run(task: Task) -> float:
    """Mean seconds per output token."""
    name, label, seed = task
    setting, rng = SETTINGS[name], np.random.default_rng(seed)
    sizes = setting.sizes()
    fits = (sizes.prompts >= 4) & (sizes.prompts <= 1024) & (sizes.outputs >= 4)
    chosen = drawn(np.flatnonzero(fits), REQUESTS, rng)
    sizes = sizes.rows(chosen)
    trace = Trace(name, np.zeros(REQUESTS), sizes.prompts, sizes.outputs)
    policy, preemption = "fcfs", EVERY_ITERATION
    engine_of: type[Site] = FreeStops
    scores = np.log2(sizes.outputs)
    if label == "MLFQ":
        policy = setting.mlfq
    elif label == HEADWAYS:
        policy, preemption, engine_of = "mlfq", PreemptionSettings(), Site
    elif label != "FCFS":
        policy = THEIR_LTR
        if label == "classes":
            scores = np.floor(sizes.outputs / CLASS_TOKENS)
        elif label == "LTR":
            scores = at_tau(sizes.outputs, setting.tau, rng)
        elif label == BERT:
            scores = ssjf("pred_multi_class")[chosen].astype(float)
    memory = setting.gpu_kv_bytes + GIB * SWAP_GIB.get(label, 0)
    engine = replace(setting.engine, kv_tokens=int(memory / setting.token_bytes))
    site = engine_of(name, engine)
    settings = SchedulerSettings(policy=policy, preemption=preemption)
    outcome = simulate(trace, [site], settings, Scores(scores))
    return measures_of(trace, outcome, [site]).s_per_token.mean


def at_tau(lengths: np.ndarray, tau: float, rng: np.random.Generator) -> np.ndarray:
    """Scores with log-normal errors just so large that they order `lengths` with this tau."""
    errors = rng.normal(0.0, 1.0, len(lengths))
    low, high = 0.0, 8.0
    while high - low > 0.01:
        octaves = (low + high) / 2.0
        if kendall_tau(np.log2(lengths) + octaves * errors, lengths) > tau:
            low = octaves
        else:
            high = octaves
    scores: np.ndarray = np.log2(lengths) + low * errors
    return scores


def figures_of(done: dict[Task, float], seeds: int) -> list[Figure]:
    """Each scheduler's seconds per token over those of FCFS."""
    found = []
    for name, setting in SETTINGS.items():
        published = setting.published
        for label in LABELS:
            if label != "FCFS" and (name, label, 0) in done:
                theirs = (published[label] / published["FCFS"],) if label in published else ()
                ours = tuple(
                    done[name, label, seed] / done[name, "FCFS", seed] for seed in range(seeds)
                )
                found.append(Figure(name, f"{label} / FCFS", theirs, ours))
    return found
