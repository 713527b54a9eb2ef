"""ServeGen's statistics of production traffic: requests are drawn from them, client by client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.rows import columns_of, in_order, json_lines
from headway.lab.simulation.trace import Trace

WINDOW_S = 600.0
"""For which a rate holds."""


class _Lengths(msgspec.Struct):
    client: int
    window_start_s: float
    input_tokens: list[tuple[float, float]]
    output_tokens: list[tuple[float, float]]


def load(path: Path, seed: int = 0) -> Trace:
    """A trace drawn from a folder with `rates.csv` and `token_pdfs.jsonl`, or both as `.gz`.

    Gaps of a client are Gamma or Weibull, as its row says, its lengths those of its window.
    Raises SimulationError.
    """
    rng = np.random.default_rng(seed)
    lengths = _lengths(_either(path, "token_pdfs.jsonl"))
    readers: dict[str, Callable[[str], Any]] = {
        "client": int,
        "t_s": float,
        "rate_rps": float,
        "iat_dist": str,
        "shape": lambda cell: float(cell or "nan"),
        "scale": lambda cell: float(cell or "nan"),
    }
    found = columns_of(_either(path, "rates.csv"), readers)
    times: list[np.ndarray] = []
    prompts: list[np.ndarray] = []
    outputs: list[np.ndarray] = []
    clients: list[int] = []
    for client, start_s, rate, kind, shape, scale in zip(*found.values(), strict=True):
        at_s = start_s + _arrivals(rng, rate, kind, shape, scale)
        windows = lengths.get(client)
        if not len(at_s) or not windows:
            continue
        known = max((w for w in windows if w.window_start_s <= start_s), key=_start, default=None)
        known = known or min(windows, key=_start)
        times.append(at_s)
        prompts.append(_drawn(rng, known.input_tokens, len(at_s)))
        outputs.append(_drawn(rng, known.output_tokens, len(at_s)))
        clients += [client] * len(at_s)
    if not times:
        raise SimulationError(f"{path} describes no requests")
    at_s = np.concatenate(times)
    order = in_order(at_s.tolist())
    return Trace(
        path.name,
        at_s[order] - at_s[order[0]],
        np.concatenate(prompts)[order],
        np.concatenate(outputs)[order],
        tenants=[f"client {clients[number]}" for number in order],
    )


def _start(lengths: _Lengths) -> float:
    return lengths.window_start_s


def _arrivals(
    rng: np.random.Generator, rate: float, kind: str, shape: float, scale: float
) -> np.ndarray:
    """Seconds within one window."""
    if not rate > 0.0:
        return np.empty(0)
    most = int(rate * WINDOW_S * 2.0) + 20
    if kind == "Weibull" and shape > 0.0:
        gaps = scale * rng.weibull(shape, most)
    elif kind == "Gamma" and shape > 0.0:
        gaps = rng.gamma(shape, scale, most)
    else:
        gaps = rng.exponential(1.0, most)
    # The rate is what counts; shape and scale were fitted on their own.
    gaps *= 1.0 / rate / max(gaps.mean(), 1e-12)
    at_s = np.cumsum(gaps) - gaps[0] * rng.random()
    within: np.ndarray = at_s[at_s < WINDOW_S]
    return within


def _drawn(rng: np.random.Generator, pdf: list[tuple[float, float]], count: int) -> np.ndarray:
    tokens, weights = np.array(pdf, float).T
    return np.maximum(1, rng.choice(tokens, count, p=weights / weights.sum())).astype(int)


def _lengths(path: Path) -> dict[int, list[_Lengths]]:
    by_client: dict[int, list[_Lengths]] = {}
    for lengths in json_lines(path, _Lengths):
        by_client.setdefault(lengths.client, []).append(lengths)
    return by_client


def _either(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            return path
    raise SimulationError(f"{folder} has neither {name} nor {name}.gz")
