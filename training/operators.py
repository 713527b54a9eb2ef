"""Profiles from the operator tables of aiconfigurator-core (Apache-2.0).

They give milliseconds of matrix products and of attention on vLLM, by GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from layers import HOST_S, POINTS, line

from headway.lab.simulation.profile import Profile

OPERATORS = (
    "operators measured by aiconfigurator-core (Apache-2.0), added up by training/profiles.py"
)


@dataclass(frozen=True)
class Gpu:
    """Facts about a GPU that its operator tables do not contain."""

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
"""Matrix products of a block of Llama-3.1-8B: columns and inner dimension."""
VOCABULARY = 128_256
WEIGHT_BYTES = 16.1e9
KV_BYTES = 2 * 2 * BLOCKS * KV_HEADS * HEAD
SMALL_US = 9.0
"""Norms, rotation and activation of a block over few tokens, as on the RTX 4090."""
TOUCHED_BYTES = 2 * (6 * HIDDEN + 3 * 14_336 + 2 * (HEADS + KV_HEADS) * HEAD)
"""Bytes that they read and write per token."""
USED = 0.9
"""Share of the memory that vLLM uses; 2 GB of it are for activations."""


def product_ms(table: dict[tuple[int, int], dict[int, float]], m: int, n: int, k: int) -> float:
    """Milliseconds of an (m, k) by (k, n) product, interpolated between measured sizes."""
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
