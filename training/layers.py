"""Profiles from LLMServingSim's measured layers: of whole models, and of experts on several GPUs.

Its profiles of vLLM 0.19 (casys-kaist/LLMServingSim, MIT) give microseconds of every layer by
tokens, of attention by prefilled and decoded tokens, and of work that comes once per sequence. An
iteration is the sum of all layers and HOST_S.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from headway.lab.simulation.profile import Profile

SOURCE = "layers measured by LLMServingSim on vLLM 0.19 (MIT), added up by training/profiles.py"
POINTS = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Tokens per iteration for which a profile has a time."""
ONCE = {"embedding", "final_layernorm"}
"""Layers that a model has once instead of in every block."""
TWICE = {"layernorm"}
HOST_S = 0.000015
"""vLLM's overhead per sequence and iteration that is in no layer: scheduling, inputs, outputs. The
only number fitted to a whole run (RTX PRO 6000, Llama-3.1-8B: mean latency and TTFT); there,
decoding is slower than its layers by 0.3 ms with 29 sequences and by 1.3 ms with 128."""
CONTEXTS = (128, 8192)
"""Range of contexts that attention is fitted to."""


@dataclass(frozen=True)
class Model:
    """Facts about a model that its files do not contain."""

    files: str
    """Prefix of its file names."""
    name: str
    blocks: int
    batch_tokens: int
    slots: int
    kv_tokens: int
    """KV cache with vLLM's default share of the GPU's memory."""


MODELS = (
    Model(
        "RTX4090__meta-llama__Llama-3.1-8B__bf16__tp1",
        "llama-3.1-8b-rtx4090",
        blocks=32,
        batch_tokens=2048,
        slots=256,
        kv_tokens=41_408,
    ),
    Model(
        "RTXPRO6000__meta-llama__Llama-3.1-8B__bf16__tp1",
        "llama-3.1-8b-rtxpro6000",
        blocks=32,
        batch_tokens=2048,
        slots=128,
        kv_tokens=530_000,
    ),
    Model(
        "RTXPRO6000__Qwen__Qwen3-32B__bf16__tp1",
        "qwen3-32b-rtxpro6000",
        blocks=64,
        batch_tokens=2048,
        slots=128,
        kv_tokens=75_000,
    ),
)


def rows_of(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def dense_us(rows: list[dict[str, str]], blocks: int) -> dict[int, float]:
    """Microseconds of one iteration by tokens, without attention and heads."""
    total: dict[int, float] = {}
    for row in rows:
        layer = row["layer"]
        times = 1 if layer in ONCE else blocks * (2 if layer in TWICE else 1)
        tokens = int(row["tokens"])
        total[tokens] = total.get(tokens, 0.0) + times * float(row["time_us"])
    return total


def line(xs: np.ndarray, ys: np.ndarray) -> list[float]:
    """Non-negative coefficients of the columns of `xs` with the least relative error for `ys`."""
    found, _ = nnls(xs / ys[:, None], np.ones(len(ys)))
    return [float(one) for one in found]


def attention_us(rows: list[dict[str, str]]) -> dict[str, float]:
    """Microseconds of one block's attention: a base, per sequence, per token of context."""
    table = np.array([[float(row[name]) for name in row] for row in rows])
    chunk, before, decoding, context, time_us = table.T
    fits = (context == 0) | ((context >= CONTEXTS[0]) & (context <= CONTEXTS[1]))
    decode = (chunk == 0) & (decoding > 0) & fits
    base, sequence, kv = line(
        np.column_stack([np.ones(len(table)), decoding, decoding * context])[decode],
        time_us[decode],
    )
    alone = (chunk > 0) & (decoding == 0) & (before <= CONTEXTS[1])
    _, prefill = line(
        np.column_stack([np.ones(len(table)), chunk * (before + chunk / 2.0)])[alone],
        time_us[alone],
    )
    both = (chunk > 0) & (decoding >= 8) & fits & (before <= 2048)
    found = line(
        np.column_stack([np.ones(len(table)), chunk * (before + chunk / 2.0), decoding * context])[
            both
        ],
        time_us[both],
    )
    return {
        "base": base,
        "sequence": sequence,
        "kv": kv,
        "prefill": prefill,
        "mixed_kv": found[2],
    }


@dataclass(frozen=True)
class Layers:
    """One model on one GPU, from its files: microseconds."""

    dense: dict[int, float]
    """Of an iteration, by tokens, without attention, experts and heads."""
    attention: dict[str, float]
    """Of one block."""
    head_base: float
    head: float
    """Of the heads: per iteration and per sequence."""


def layers_of(folder: Path, model: Model) -> Layers:
    dense = dense_us(rows_of(folder / f"{model.files}__dense.csv.gz"), model.blocks)
    attention = attention_us(rows_of(folder / f"{model.files}__attention.csv.gz"))
    heads: dict[int, float] = {}
    for row in rows_of(folder / f"{model.files}__per_sequence.csv.gz"):
        count = int(row["sequences"])
        heads[count] = heads.get(count, 0.0) + float(row["time_us"])
    counts = np.array(list(heads), float)
    head_base, head = line(
        np.column_stack([np.ones(len(counts)), counts]), np.array([*heads.values()])
    )
    return Layers(dense, attention, head_base, head)


def profile_of(folder: Path, model: Model) -> Profile:
    layers = layers_of(folder, model)
    dense, attention, head = layers.dense, layers.attention, layers.head
    known = np.array(sorted(dense))
    times = np.array([dense[tokens] for tokens in known.tolist()])
    base_us = model.blocks * attention["base"] + layers.head_base
    points = np.interp(POINTS, known, times) + base_us
    return Profile(
        model.name,
        dense_tokens=tuple(map(float, POINTS)),
        dense_s=tuple(round(float(us) * 1e-6, 8) for us in points),
        sequence_s=(head + model.blocks * attention["sequence"]) * 1e-6 + HOST_S,
        decode_kv_s=model.blocks * attention["kv"] * 1e-6,
        mixed_kv_s=model.blocks * attention["mixed_kv"] * 1e-6,
        prefill_kv_s=model.blocks * attention["prefill"] * 1e-6,
        batch_tokens=model.batch_tokens,
        slots=model.slots,
        kv_tokens=model.kv_tokens,
        source=SOURCE,
    )


@dataclass(frozen=True)
class Experts:
    """Layers of experts, split evenly among ranks that compute different requests.

    All ranks step together, and send every token to every rank and back (all-gather and
    reduce-scatter, vLLM's default), so that they act as one wider engine.
    """

    model: Model
    """Of one rank."""
    name: str
    ranks: int
    experts: int
    chosen: int
    """Experts per token."""
    token_bytes: int
    """Of its hidden state."""


QWEN_30B = Experts(
    Model(
        "RTXPRO6000__Qwen__Qwen3-30B-A3B-Instruct-2507__bf16__tp1",
        "",
        blocks=48,
        batch_tokens=2048,
        slots=128,
        kv_tokens=500_000,
    ),
    "qwen3-30b-a3b-2x-rtxpro6000",
    ranks=2,
    experts=128,
    chosen=8,
    token_bytes=2 * 2048,
)
POPULARITY = 0.75
"""Shape of the gamma distribution of how often tokens choose an expert. On mixed text the choices
of Qwen3-30B-A3B have 0.89 of the entropy of uniform ones, and half of a layer's experts get nine of
ten tokens (measured: mcp-tool-shop-org.github.io/gpu-container/handbook/derisk), as here."""
DRAWN_LAYERS = 2000
COLLECTIVE_US = 20.0
PCIE_BYTES_PER_S = 16e9
"""Between two of these GPUs, from LLMServingSim's description of the machine."""


def experts_us(rows: list[dict[str, str]], of: Experts, tokens: int) -> float:
    """Microseconds of one layer of experts on the busiest rank, for `tokens` over all ranks.

    Popular experts are not split evenly: the rank with more of them computes more tokens and reads
    more experts, and all ranks wait for it.
    """
    times: dict[int, dict[int, float]] = {}
    for row in rows:
        times.setdefault(int(row["activated_experts"]), {})[int(row["tokens"])] = float(
            row["time_us"]
        )
    draws = np.random.default_rng(0)
    popular = draws.gamma(POPULARITY, size=(DRAWN_LAYERS, of.experts))
    taken = np.minimum(1.0, of.chosen * popular / popular.sum(axis=1, keepdims=True))
    by_rank = taken.reshape(DRAWN_LAYERS, of.ranks, -1)
    reads = draws.random(by_rank.shape) < 1.0 - (1.0 - by_rank) ** tokens
    activated = reads.sum(axis=2).max(axis=1).mean()
    fullest = tokens * by_rank.sum(axis=2).max(axis=1).mean() / of.chosen
    by_experts = [
        np.interp(fullest, sorted(known), [known[t] for t in sorted(known)])
        for _, known in sorted(times.items())
    ]
    return float(np.interp(activated, sorted(times), by_experts))


def fullest_rank(of: Experts, tokens: int) -> float:
    """Tokens of the busiest rank: decoding requests are spread over ranks, a prompt is on one."""
    decoding = min(tokens, of.ranks * of.model.slots)
    prompt = min(tokens - decoding, of.model.batch_tokens)
    return max(decoding / of.ranks + prompt, tokens / of.ranks)


def profile_of_experts(folder: Path, of: Experts) -> Profile:
    model, ranks = of.model, of.ranks
    layers = layers_of(folder, model)
    attention = layers.attention
    rows = rows_of(folder / f"{model.files}__moe.csv.gz")
    known = sorted(layers.dense)
    head_s = (layers.head + model.blocks * attention["sequence"]) * 1e-6
    dense_s = []
    for tokens in (ranks * point for point in POINTS):
        own = fullest_rank(of, tokens)
        sent_us = COLLECTIVE_US + 1e6 * own * of.token_bytes / PCIE_BYTES_PER_S
        block_us = attention["base"] + experts_us(rows, of, tokens) + 2.0 * sent_us
        dense_us = float(np.interp(own, known, [layers.dense[t] for t in known]))
        dense_s.append((dense_us + model.blocks * block_us + layers.head_base) * 1e-6)
    return Profile(
        of.name,
        dense_tokens=tuple(float(ranks * point) for point in POINTS),
        dense_s=tuple(round(seconds, 8) for seconds in dense_s),
        sequence_s=(head_s + HOST_S) / ranks,
        decode_kv_s=model.blocks * attention["kv"] / ranks * 1e-6,
        mixed_kv_s=model.blocks * attention["mixed_kv"] / ranks * 1e-6,
        prefill_kv_s=model.blocks * attention["prefill"] * 1e-6,
        batch_tokens=ranks * model.batch_tokens,
        slots=ranks * model.slots,
        kv_tokens=ranks * model.kv_tokens,
        source=SOURCE,
    )
