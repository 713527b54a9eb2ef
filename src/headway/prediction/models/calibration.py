"""From a score to a distribution of output tokens."""

from __future__ import annotations

import numpy as np

from headway.core.estimate import SizeEstimate
from headway.prediction.arrays import Floats, State
from headway.prediction.models.bins import BIN_TOKENS

LEVELS = 256
"""Maximum number of distinct distributions. Requests of one level share one estimate."""
NEIGHBOURS = 24
"""A level's distribution comes from about the 1/NEIGHBOURS of the examples nearest in score."""
LEAST_NEIGHBOURS = 30
BLUR_BINS = 0.4
"""Width of the smoothing over neighbouring lengths."""
FLOOR = 0.002
"""Share of the distribution of all lengths in each level's: any prompt may get a length that some
prompt got. Lengths far from all of these are left to history, see `live_predictor.py`."""


class Calibration:
    """The lengths observed for similar scores; no shape of distribution is assumed.

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
        """From held-back scores and the observed output tokens.

        Scores of prompts that were trained on would make the distributions too narrow.
        """
        # Equal scores in random order: one that correlates with the lengths would leak them.
        order = np.lexsort((np.random.default_rng(0).permutation(len(scores)), scores))
        scores, logs, count = scores[order], np.log2(lengths[order]), len(order)
        everything = _histogram(logs, np.full(count, 1.0 / count)) @ _blur()
        levels = min(LEVELS, max(1, count // 8))
        middles = (np.arange(levels) + 0.5) / levels * count - 0.5
        middle_scores = np.interp(middles, np.arange(count), scores).astype(np.float32)
        width = max(count / NEIGHBOURS, min(LEAST_NEIGHBOURS, count / 2.0)) / 2.0
        weights = np.empty((levels, len(BIN_TOKENS)), np.float32)
        for level, middle in enumerate(middles):
            # The window ends at the extremes, which keep their own neighbours.
            low = int(max(0, np.floor(middle - 3.0 * width)))
            high = int(min(count, np.ceil(middle + 3.0 * width) + 1))
            near = np.exp(-(((np.arange(low, high) - middle) / width) ** 2) / 2.0)
            # Neighbours contribute their error, or their spread in score would widen the result.
            shifted = logs[low:high] + (middle_scores[level] - scores[low:high])
            weights[level] = _histogram(shifted, near / near.sum())
        weights = (1.0 - FLOOR) * (weights @ _blur()) + FLOOR * everything
        # Merge levels of equal score.
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
    """`weights` summed by bin of BIN_TOKENS; `logs` are log2 of lengths."""
    bins = np.searchsorted(BIN_TOKENS, np.round(2.0**logs, 3))
    last = len(BIN_TOKENS) - 1
    histogram = np.bincount(np.minimum(bins, last), weights, minlength=last + 1)
    return histogram.astype(np.float32)


def _blur() -> Floats:
    places = np.arange(len(BIN_TOKENS))
    near = np.exp(-(((places[:, None] - places) / BLUR_BINS) ** 2) / 2.0)
    blur: Floats = (near / near.sum(axis=1, keepdims=True)).astype(np.float32)
    return blur
