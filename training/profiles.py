"""Makes the engine profiles that ship, from published measurements of single layers.

    pip install pyarrow scipy
    HEADWAY_DATA=../shared/data python training/profiles.py

Sources: LLMServingSim's profiles of vLLM 0.19 (casys-kaist/LLMServingSim, MIT): microseconds of
every layer by tokens, of attention by what is prefilled and decoded, of what comes once a
sequence; and the operator tables of aiconfigurator-core (Apache-2.0): milliseconds of matrix
products and of attention on vLLM. An iteration is all layers one after the other, and HOST_S.
"""

from __future__ import annotations

import csv
import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from scipy.optimize import nnls

from headway.lab.simulation.profile import Profile, write_profile

OUT = Path(__file__).parents[1] / "src/headway/lab/simulation/profiles"
SOURCE = "layers measured by LLMServingSim on vLLM 0.19 (MIT), added up by training/profiles.py"
OPERATORS = (
    "operators measured by aiconfigurator-core (Apache-2.0), added up by training/profiles.py"
)
POINTS = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Tokens of an iteration at which the profile keeps a time."""
ONCE = {"embedding", "final_layernorm"}
"""Layers that a model has once, and not in every block."""
TWICE = {"layernorm"}
HOST_S = 0.000015
"""What vLLM adds to an iteration for each of its sequences, and no layer shows: scheduling, inputs,
outputs. The one number that is fitted to a whole run (RTX PRO 6000, Llama-3.1-8B: its mean latency
and TTFT); there, decoding is 0.3 ms slower than its layers with 29 sequences, and 1.3 with 128."""
CONTEXTS = (128, 8192)
"""Contexts that attention is fitted to."""


@dataclass(frozen=True)
class Model:
    """What the profile of a model does not say itself."""

    files: str
    """How the names of its files begin."""
    name: str
    blocks: int
    batch_tokens: int
    slots: int
    kv_tokens: int
    """KV memory with vLLM's default share of the GPU."""


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
    """Microseconds of one iteration over so many tokens, attention and heads left out."""
    total: dict[int, float] = {}
    for row in rows:
        layer = row["layer"]
        times = 1 if layer in ONCE else blocks * (2 if layer in TWICE else 1)
        tokens = int(row["tokens"])
        total[tokens] = total.get(tokens, 0.0) + times * float(row["time_us"])
    return total


def line(xs: np.ndarray, ys: np.ndarray) -> list[float]:
    """Coefficients of `ys` by the columns of `xs`, none negative, least in relative error."""
    found, _ = nnls(xs / ys[:, None], np.ones(len(ys)))
    return found.tolist()


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
    """Of an iteration over so many tokens, attention, experts and heads left out."""
    attention: dict[str, float]
    """Of one block."""
    head_base: float
    head: float
    """Of the heads: once, and for each sequence."""


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
    """Layers of experts, shared out evenly among ranks that compute different requests.

    All ranks step together, and send every token to every rank and back again (all-gather and
    reduce-scatter, vLLM's default), so that they are one engine that is as much wider.
    """

    model: Model
    """Of one rank."""
    name: str
    ranks: int
    experts: int
    chosen: int
    """Experts that a token is sent to."""
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
"""Shape of the gamma distribution that says how often a token chooses an expert. On mixed text the
choices of Qwen3-30B-A3B have 0.89 of the entropy of even ones, and half of a layer's experts get
nine of ten (measured: mcp-tool-shop-org.github.io/gpu-container/handbook/derisk); so has this."""
DRAWN_LAYERS = 2000
COLLECTIVE_US = 20.0
PCIE_BYTES_PER_S = 16e9
"""Between two of these GPUs: as LLMServingSim's description of the machine says."""


def experts_us(rows: list[dict[str, str]], of: Experts, tokens: int) -> float:
    """One layer of experts on the rank that has most of it to do, while all ranks together compute
    so many tokens.

    Popular experts are not shared out evenly: the rank that holds more of them has more tokens and
    reads more experts, and all ranks wait for it.
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
    """Tokens of the rank that has most to do: who decodes is shared out, a prompt is on one."""
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


@dataclass(frozen=True)
class Gpu:
    """What the operator tables of a GPU do not say themselves."""

    files: str
    name: str
    memory_bytes: float
    memory_bytes_per_s: float


GPUS = (
    Gpu("a100_sxm", "a100", 80e9, 2.04e12),
    Gpu("h100_sxm", "h100", 80e9, 3.35e12),
    Gpu("h200_sxm", "h200", 141e9, 4.8e12),
    Gpu("l40s", "l40s", 48e9, 0.86e12),
)
BLOCKS, HIDDEN, HEADS, KV_HEADS, HEAD = 32, 4096, 32, 8, 128
PRODUCTS = ((6144, 4096), (4096, 4096), (28_672, 4096), (4096, 14_336))
"""Matrix products of a block of Llama-3.1-8B: columns, and what is summed over."""
VOCABULARY = 128_256
WEIGHT_BYTES = 16.1e9
KV_BYTES = 2 * 2 * BLOCKS * KV_HEADS * HEAD
SMALL_US = 9.0
"""Norms, rotation and activation of a block over few tokens, as on the RTX 4090."""
TOUCHED_BYTES = 2 * (6 * HIDDEN + 3 * 14_336 + 2 * (HEADS + KV_HEADS) * HEAD)
"""What they read and write of each token."""
USED = 0.9
"""Share of the memory that vLLM takes; 2 GB of it are for activations."""


def product_ms(table: dict[tuple[int, int], dict[int, float]], m: int, n: int, k: int) -> float:
    """Milliseconds of an (m, k) by (k, n) product, from the sizes that were measured."""
    columns = sorted({columns for columns, _ in table})
    depths = sorted({depth for _, depth in table})
    if n > columns[-1]:
        return product_ms(table, m, columns[-1], k) * n / columns[-1]

    def measured(columns: int, depth: int) -> float:
        of = table[columns, depth]
        tokens = sorted(of)
        return float(np.interp(m, tokens, [of[t] for t in tokens]))

    near = [depth for depth in depths if depth <= k][-1:] + [d for d in depths if d >= k][:1]
    by_depth = [
        np.interp(n, columns, [measured(c, d) if (c, d) in table else np.nan for c in columns])
        for d in near
    ]
    return float(np.interp(k, near, by_depth))


def operators(path: Path) -> list[dict[str, Any]]:
    rows = pyarrow.parquet.read_table(path).to_pylist()
    return [
        row
        for row in rows
        if {row.get("gemm_dtype"), row.get("attn_dtype")} & {"bfloat16", "float16"}
        and row.get("kv_cache_dtype", "bfloat16") in ("bfloat16", "float16")
        and not row.get("window_size")
    ]


def profile_of_gpu(folder: Path, gpu: Gpu) -> Profile:
    """Llama-3.1-8B in 16 bits on one GPU."""
    products: dict[tuple[int, int], dict[int, float]] = {}
    for row in operators(folder / f"{gpu.files}__gemm_perf.parquet"):
        products.setdefault((row["n"], row["k"]), {})[row["m"]] = row["latency"]
    shape = (HEADS, KV_HEADS, HEAD)
    attention: dict[str, list[tuple[float, float, float]]] = {}
    for kind in ("context", "generation"):
        for row in operators(folder / f"{gpu.files}__{kind}_attention_perf.parquet"):
            if (row["num_heads"], row["num_key_value_heads"], row["head_dim"]) == shape:
                context = row["isl"] + row["step"]
                attention.setdefault(kind, []).append((row["batch_size"], context, row["latency"]))
    batch, context, ms = np.array(
        [row for row in attention["generation"] if row[0] * row[1] <= 1 << 20]
    ).T
    base_ms, sequence_ms, kv_ms = line(
        np.column_stack([np.ones(len(ms)), batch, batch * context]), ms
    )
    batch, length, ms = np.array([row for row in attention["context"] if row[1] >= 128]).T
    _, prefill_ms = line(np.column_stack([np.ones(len(ms)), batch * length**2 / 2.0]), ms)
    dense_s = []
    for tokens in POINTS:
        block_ms = sum(product_ms(products, tokens, n, k) for n, k in PRODUCTS) + base_ms
        small_us = SMALL_US + 1e6 * tokens * TOUCHED_BYTES / gpu.memory_bytes_per_s
        head_ms = product_ms(products, min(tokens, 256), VOCABULARY, HIDDEN)
        dense_s.append((BLOCKS * (block_ms + 1e-3 * small_us) + head_ms) * 1e-3)
    return Profile(
        f"llama-3.1-8b-{gpu.name}",
        dense_tokens=tuple(map(float, POINTS)),
        dense_s=tuple(round(value, 8) for value in np.maximum.accumulate(dense_s).tolist()),
        sequence_s=BLOCKS * sequence_ms * 1e-3 + HOST_S,
        decode_kv_s=BLOCKS * kv_ms * 1e-3,
        prefill_kv_s=BLOCKS * prefill_ms * 1e-3,
        kv_tokens=int((USED * gpu.memory_bytes - WEIGHT_BYTES - 2e9) / KV_BYTES) // 1000 * 1000,
        source=OPERATORS,
    )


def main() -> None:
    data = Path(os.environ.get("HEADWAY_DATA", "../shared/data")) / "profiles"
    profiles = [profile_of(data / "llmservingsim", model) for model in MODELS]
    profiles.append(profile_of_experts(data / "llmservingsim", QWEN_30B))
    profiles += [profile_of_gpu(data / "aiconfigurator_ops", gpu) for gpu in GPUS]
    for profile in profiles:
        (OUT / f"{profile.name}.json").write_bytes(write_profile(profile))
        print(
            f"{profile.name}: {1e3 * profile.dense(1):.2f} ms an iteration, "
            f"{1e9 * profile.decode_kv_s:.2f} ns a token of context "
            f"({1e9 * profile.mixed_kv_s:.2f} beside a prompt), a prompt of 2,048 tokens in "
            f"{1e3 * profile.prefill_s(2048):.0f} ms"
        )


if __name__ == "__main__":
    main()
