"""Makes the engine profiles that ship, from published measurements of single layers.

    HEADWAY_DATA=../shared/data python training/profiles.py

Source: LLMServingSim's profiles of vLLM 0.19 (casys-kaist/LLMServingSim, MIT): microseconds of
every layer by tokens, of attention by what is prefilled and decoded, of what comes once a
sequence. An iteration is all layers one after the other, and HOST_S.
"""

from __future__ import annotations

import csv
import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from headway.simulation.profile import Profile, write_profile

OUT = Path(__file__).parents[1] / "src/headway/simulation/profiles"
SOURCE = "layers measured by LLMServingSim on vLLM 0.19 (MIT), added up by training/profiles.py"
POINTS = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Tokens of an iteration at which the profile keeps a time."""
ONCE = {"embedding", "final_layernorm"}
"""Layers that a model has once, and not in every block."""
TWICE = {"layernorm"}
HOST_S = 0.00175
"""What vLLM adds to an iteration that no layer shows: scheduling, sampling, launching. The one
number that is fitted to a whole run (RTX PRO 6000, Llama-3.1-8B: its mean latency and TTFT)."""
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
    price_per_hour: float


MODELS = (
    Model(
        "RTX4090__meta-llama__Llama-3.1-8B__bf16__tp1",
        "llama-3.1-8b-rtx4090",
        blocks=32,
        batch_tokens=2048,
        slots=256,
        kv_tokens=41_408,
        price_per_hour=0.4,
    ),
    Model(
        "RTXPRO6000__meta-llama__Llama-3.1-8B__bf16__tp1",
        "llama-3.1-8b-rtxpro6000",
        blocks=32,
        batch_tokens=2048,
        slots=128,
        kv_tokens=530_000,
        price_per_hour=1.8,
    ),
    Model(
        "RTXPRO6000__Qwen__Qwen3-32B__bf16__tp1",
        "qwen3-32b-rtxpro6000",
        blocks=64,
        batch_tokens=2048,
        slots=128,
        kv_tokens=75_000,
        price_per_hour=1.8,
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


def profile_of(folder: Path, model: Model) -> Profile:
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
    known = np.array(sorted(dense))
    times = np.array([dense[tokens] for tokens in known.tolist()])
    base_us = model.blocks * attention["base"] + head_base
    points = np.interp(POINTS, known, times) + base_us
    return Profile(
        model.name,
        dense_tokens=tuple(map(float, POINTS)),
        dense_s=tuple(round(float(us) * 1e-6 + HOST_S, 8) for us in points),
        sequence_s=(head + model.blocks * attention["sequence"]) * 1e-6,
        decode_kv_s=model.blocks * attention["kv"] * 1e-6,
        mixed_kv_s=model.blocks * attention["mixed_kv"] * 1e-6,
        prefill_kv_s=model.blocks * attention["prefill"] * 1e-6,
        batch_tokens=model.batch_tokens,
        slots=model.slots,
        kv_tokens=model.kv_tokens,
        price_per_hour=model.price_per_hour,
        start_s=60.0,
        source=SOURCE,
    )


def main() -> None:
    data = Path(os.environ.get("HEADWAY_DATA", "../shared/data")) / "profiles/llmservingsim"
    for model in MODELS:
        profile = profile_of(data, model)
        (OUT / f"{model.name}.json").write_bytes(write_profile(profile))
        print(
            f"{model.name}: {1e3 * profile.dense(1):.2f} ms an iteration, "
            f"{1e9 * profile.decode_kv_s:.2f} ns a token of context "
            f"({1e9 * profile.mixed_kv_s:.2f} beside a prompt)"
        )


if __name__ == "__main__":
    main()
