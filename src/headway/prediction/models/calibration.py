"""From a score to the distribution of output tokens that goes with it."""

from __future__ import annotations

import numpy as np

from headway.core.estimate import SizeEstimate
from headway.prediction.arrays import Floats, State
from headway.prediction.models.bins import BIN_TOKENS

LEVELS = 256
"""Different distributions at most. Requests of one level share one estimate."""
NEIGHBOURS = 24
"""A level's distribution is that of about the nearest 1/NEIGHBOURS of the examples by score."""
LEAST_NEIGHBOURS = 30
BLUR_BINS = 0.4
"""How far an observed length counts for the lengths beside it."""
FLOOR = 0.002
"""Part of the distribution of all lengths in that of each level: what some prompt was answered
with is possible for any. Lengths far from all of these are history's to foresee, see `live.py`."""


class Calibration:
    """What lengths came of scores like this one: no shape of distribution is assumed.

    Args:
        scores: of each level's middle, increasing.
        weights: (levels, bins), each row sums to 1.
    """

    def __init__(self, scores: Floats, weights: Floats) -> None:
        self._scores = scores
        self._borders = (scores[1:] + scores[:-1]) / 2.0
        self._weights = weights
        self._estimates: list[SizeEstimate | None] = [None] * len(scores)

    @classmethod
    def fit(cls, scores: Floats, lengths: np.ndarray) -> Calibration:
        """From held-back scores and the output tokens that came.

        Scores of prompts that were trained on would make the distributions too narrow.
        """
        # Equal scores in no order: one that goes with the lengths would tell too much.
        order = np.lexsort((np.random.default_rng(0).permutation(len(scores)), scores))
        scores, logs, count = scores[order], np.log2(lengths[order]), len(order)
        everything = _histogram(logs, np.full(count, 1.0 / count)) @ _blur()
        levels = min(LEVELS, max(1, count // 8))
        middles = (np.arange(levels) + 0.5) / levels * count - 0.5
        middle_scores = np.interp(middles, np.arange(count), scores).astype(np.float32)
        width = max(count / NEIGHBOURS, min(LEAST_NEIGHBOURS, count / 2.0)) / 2.0
        weights = np.empty((levels, len(BIN_TOKENS)), np.float32)
        for level, middle in enumerate(middles):
            # A window that does not reach over the end: the extremes keep their own neighbours.
            low = int(max(0, np.floor(middle - 3.0 * width)))
            high = int(min(count, np.ceil(middle + 3.0 * width) + 1))
            near = np.exp(-(((np.arange(low, high) - middle) / width) ** 2) / 2.0)
            # Neighbours by score count with their error, or their spread in score would add to it.
            shifted = logs[low:high] + (middle_scores[level] - scores[low:high])
            weights[level] = _histogram(shifted, near / near.sum())
        weights = (1.0 - FLOOR) * (weights @ _blur()) + FLOOR * everything
        # Equal scores are one level.
        first = np.flatnonzero(np.append(True, np.diff(middle_scores) > 0.0))
        of_level = np.diff(np.append(first, levels))[:, None]
        distinct = np.add.reduceat(weights, first, axis=0) / of_level
        return cls(middle_scores[first], distinct.astype(np.float32))

    def estimate(self, score: float) -> SizeEstimate:
        """The distribution of output tokens of a prompt with this score."""
        level = int(np.searchsorted(self._borders, score))
        estimate = self._estimates[level]
        if estimate is None:
            weights = self._weights[level].astype(float).tolist()
            estimate = self._estimates[level] = SizeEstimate(BIN_TOKENS, weights)
        return estimate

    def state(self) -> State:
        return {"scores": self._scores, "weights": self._weights.astype(np.float16)}

    @classmethod
    def of(cls, state: State) -> Calibration:
        return cls(state["scores"].astype(np.float32), state["weights"].astype(np.float32))


def _histogram(logs: np.ndarray, weights: np.ndarray) -> Floats:
    """`weights` summed over BIN_TOKENS; `logs` are log2 of lengths."""
    bins = np.searchsorted(BIN_TOKENS, np.round(2.0**logs, 3))
    last = len(BIN_TOKENS) - 1
    histogram = np.bincount(np.minimum(bins, last), weights, minlength=last + 1)
    return histogram.astype(np.float32)


def _blur() -> Floats:
    places = np.arange(len(BIN_TOKENS))
    near = np.exp(-(((places[:, None] - places) / BLUR_BINS) ** 2) / 2.0)
    blur: Floats = (near / near.sum(axis=1, keepdims=True)).astype(np.float32)
    return blur
