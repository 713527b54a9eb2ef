"""C(n, length): how long batches of a model took."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np

from headway.core.batching import Curve, CurveFit


@dataclass(frozen=True, eq=False)
class MeasuredDurations:
    """A grid of measured batches."""

    sizes: tuple[int, ...]
    """Items of a batch, ascending."""
    lengths: tuple[int, ...]
    """Padded lengths, ascending."""
    took_s: np.ndarray
    """Seconds, (sizes, lengths, repeats)."""

    @cached_property
    def medians_s(self) -> list[list[float]]:
        """Of the repeats, by size and length."""
        found: list[list[float]] = np.median(self.took_s, axis=2).tolist()
        return found

    @cached_property
    def ratios(self) -> list[float]:
        """Every duration as a multiple of its median: how much batches vary."""
        found: list[float] = (self.took_s / np.median(self.took_s, axis=2)[:, :, None]).ravel()
        return list(map(float, found))

    @property
    def spread(self) -> float:
        """Standard deviation of those."""
        return float(np.std(self.ratios))

    @property
    def curve(self) -> Curve:
        """The curve that a batcher would fit to them."""
        cells = [
            (size, length, self.medians_s[row][column])
            for row, size in enumerate(self.sizes)
            for column, length in enumerate(self.lengths)
        ]
        Random(0).shuffle(cells)  # a fit forgets: no corner of the grid is to be the newest
        fit = CurveFit()
        for cell in cells:
            fit.observe(*cell)
        return fit.curve

    def batch_s(self, size: int, length: float) -> float:
        """The median, between the points of the grid by straight lines."""
        row, down = _place(self.sizes, size)
        column, across = _place(self.lengths, length)
        upper, lower = self.medians_s[row], self.medians_s[min(row + 1, len(self.sizes) - 1)]
        right = min(column + 1, len(self.lengths) - 1)
        of_upper = upper[column] * (1.0 - across) + upper[right] * across
        of_lower = lower[column] * (1.0 - across) + lower[right] * across
        return of_upper * (1.0 - down) + of_lower * down

    def drawn(self, seed: int) -> Callable[[int, int], float]:
        """Durations that vary as the measured ones did, by chance of `seed`."""
        random, ratios, known = Random(seed), self.ratios, {}

        def took_s(size: int, length: int) -> float:
            shape = size, length
            if shape not in known:
                known[shape] = self.batch_s(size, length)
            return known[shape] * random.choice(ratios)

        return took_s


def _place(grid: Sequence[int], value: float) -> tuple[int, float]:
    """The point of the grid before `value`, and the share of the way to the next."""
    place = min(max(0, bisect_right(grid, value) - 1), max(0, len(grid) - 2))
    if len(grid) == 1:
        return 0, 0.0
    share = (value - grid[place]) / (grid[place + 1] - grid[place])
    return place, min(1.0, max(0.0, share))
