"""ServeGen's statistics of production traffic: requests are drawn from them, client by client.

Xiang et al., ServeGen: Workload Characterization and Generation of Large Language Model Serving in
Production, 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers import servegen_chunks, servegen_tables
from headway.lab.simulation.importers.rows import in_order
from headway.lab.simulation.importers.servegen_statistics import WINDOW_S, Rate, Statistics
from headway.lab.simulation.trace import Trace

MOST = 2_000_000
"""Requests to draw; the largest pools describe hundreds of millions."""
MARGIN = 1.2
"""More is drawn than asked for by this factor, as numbers in a window are random."""


@dataclass(slots=True)
class _Drawn:
    at_s: list[np.ndarray]
    prompts: list[np.ndarray]
    outputs: list[np.ndarray]
    clients: list[str]


def load(path: Path, seed: int = 0, most: int = 0) -> Trace:
    """A trace drawn from a folder of statistics, as published or as tables.

    Gaps of a client are Gamma or Weibull, as its row says, its lengths those of its window.

    Args:
        path: the folder: `chunk-N-trace.csv` and `chunk-N-dataset.json` for each client, or
            `rates.csv` and `token_pdfs.jsonl` for all of them.
        seed: equal seeds draw equal traces.
        most: as many of the first requests are enough; 0: all.

    Raises:
        SimulationError: there are no such files, or they describe more than MOST requests, and
            `most` is not given.
    """
    statistics = servegen_chunks.read(path) if servegen_chunks.are_in(path) else None
    statistics = statistics or servegen_tables.read(path)
    expected = sum(rate.per_s for rate in statistics.rates) * WINDOW_S
    if expected > MOST:
        statistics = _first(statistics, most, expected, path)
    drawn = _draw(statistics, np.random.default_rng(seed))
    if not drawn.at_s:
        raise SimulationError(f"{path} describes no requests")
    at_s = np.concatenate(drawn.at_s)
    order = in_order(at_s.tolist())
    return Trace(
        path.name,
        at_s[order] - at_s[order[0]],
        np.concatenate(drawn.prompts)[order],
        np.concatenate(drawn.outputs)[order],
        tenants=[drawn.clients[number] for number in order],
    )


def _first(statistics: Statistics, most: int, expected: float, path: Path) -> Statistics:
    """What describes about the first `most` requests."""
    if not most:
        raise SimulationError(
            f"{path} describes about {expected:,.0f} requests, more than fit in memory; take the "
            f"first of them, as `headway trace sample {path} --requests 100000 --out trace.csv`"
        )
    wanted = MARGIN * most + 100
    rates: list[Rate] = []
    for rate in sorted(statistics.rates, key=lambda rate: rate.start_s):
        if wanted < 0.0 and rate.start_s > rates[-1].start_s:
            break  # windows are whole: all clients of the last one are in it
        rates.append(rate)
        wanted -= rate.per_s * WINDOW_S
    if sum(rate.per_s for rate in rates) * WINDOW_S > MARGIN * most + MOST:
        raise SimulationError(
            f"{path} describes more requests in its first window than fit in memory; take a pool "
            f"of fewer clients"
        )
    return Statistics(rates, statistics.lengths)


def _draw(statistics: Statistics, rng: np.random.Generator) -> _Drawn:
    drawn = _Drawn([], [], [], [])
    for rate in statistics.rates:
        at_s = rate.start_s + _arrivals(rng, rate)
        windows = statistics.lengths.get(rate.client)
        if not len(at_s) or not windows:
            continue
        begun = [window for window in windows if window.start_s <= rate.start_s]
        if begun:
            known = max(begun, key=lambda window: window.start_s)
        else:
            known = min(windows, key=lambda window: window.start_s)
        drawn.at_s.append(at_s)
        drawn.prompts.append(np.maximum(1, known.prompts(rng, len(at_s))))
        drawn.outputs.append(np.maximum(1, known.output.draw(rng, len(at_s))))
        drawn.clients += [f"client {rate.client}"] * len(at_s)
    return drawn


def _arrivals(rng: np.random.Generator, rate: Rate) -> np.ndarray:
    """Seconds within one window."""
    if not rate.per_s > 0.0:
        return np.empty(0)
    most = int(rate.per_s * WINDOW_S * 2.0) + 20
    if rate.gaps == "Weibull" and rate.shape > 0.0:
        gaps = rate.scale * rng.weibull(rate.shape, most)
    elif rate.gaps == "Gamma" and rate.shape > 0.0:
        gaps = rng.gamma(rate.shape, rate.scale, most)
    else:
        gaps = rng.exponential(1.0, most)
    # The rate is what counts; shape and scale were fitted on their own.
    gaps *= 1.0 / rate.per_s / max(gaps.mean(), 1e-12)
    at_s = np.cumsum(gaps) - gaps[0] * rng.random()
    within: np.ndarray = at_s[at_s < WINDOW_S]
    return within
