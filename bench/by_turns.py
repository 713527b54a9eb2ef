"""Two conditions by turns in one run: what the second changes, with how sure that is.

Windows are short and come in pairs, each pair in the other order than the one before. What drifts
over minutes (clocks, caches, neighbours) meets both alike, and the median over pairs says what is
left. The interval is a bootstrap over pairs.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")
DRAWS = 4000
CORES = sorted(os.sched_getaffinity(0))


class Effect(NamedTuple):
    """The median over pairs, and the 95% interval that it lies in."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


async def pairs(
    without: Callable[[], Awaitable[T]], having: Callable[[], Awaitable[T]], count: int
) -> list[tuple[T, T]]:
    """So many pairs of windows: one without and one having whatever it is."""
    found = []
    for number in range(count):
        if number % 2:
            second = await having()
            found.append((await without(), second))
        else:
            first = await without()
            found.append((first, await having()))
    return found


def effect(of_pairs: Sequence[float]) -> Effect:
    """The median of a number that each pair gives."""
    values = np.asarray(of_pairs)
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(values, (DRAWS, len(values))), axis=1)
    low, high = np.percentile(medians, (2.5, 97.5))
    return Effect(float(np.median(values)), float(low), float(high))


def pooled_ratio(windows: Sequence[tuple[Sequence[float], Sequence[float]]], q: float) -> Effect:
    """Percentile `q` of all seconds over that of all firsts; the interval redraws pairs."""
    firsts = [np.asarray(first) for first, _ in windows]
    seconds = [np.asarray(second) for _, second in windows]

    def ratio(places: Sequence[int]) -> float:
        below = np.percentile(np.concatenate([firsts[place] for place in places]), q)
        above = np.percentile(np.concatenate([seconds[place] for place in places]), q)
        return float(above / below)

    rng = np.random.default_rng(0)
    drawn = [ratio(rng.integers(0, len(windows), len(windows)).tolist()) for _ in range(DRAWS // 4)]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Effect(ratio(range(len(windows))), float(low), float(high))


def pin(core: int) -> None:
    """Run on this core alone from now on, with what is started; does nothing where there is one."""
    if len(CORES) > 1:
        os.sched_setaffinity(0, {CORES[core]})
