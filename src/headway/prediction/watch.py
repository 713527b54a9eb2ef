"""Is the order that was predicted worth anything? Watched on what finished last."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import log2

import numpy as np

from headway.core.estimate import SizeEstimate
from headway.prediction.bins import interval
from headway.prediction.evaluation import kendall_tau, pairwise_accuracy

WINDOW = 200
LEAST = 100
"""Finished requests before anything is said. A random order of so many has |tau| < 0.14 in 19 of
20 windows."""
LOOK_EVERY = 10


@dataclass(frozen=True, slots=True)
class Quality:
    """Of the predictions in the window."""

    n: int
    kendall_tau: float
    pairwise_accuracy: float
    coverage_80: float
    bias_octaves: float
    """Mean of log2(length / prediction): 1 means answers twice as long as predicted."""


class Watch:
    """Compares predicted with real order over a sliding window.

    Args:
        distrust_below: Kendall's tau below which the order is not to be trusted.
        trust_above: tau above which it is again; the gap keeps it from switching to and fro.
    """

    def __init__(self, distrust_below: float = 0.1, trust_above: float = 0.2) -> None:
        self.distrust_below = distrust_below
        self.trust_above = trust_above
        self.trusted = True
        self.quality: Quality | None = None
        """As of the last look; None before the first."""
        self._seen: deque[tuple[float, float, bool]] = deque(maxlen=WINDOW)
        self._since_look = 0

    def observe(self, score: float, estimate: SizeEstimate, output_tokens: int) -> bool:
        """A request finished by itself. Returns whether `trusted` changed."""
        low, high = interval(estimate, 0.8)
        self._seen.append((score, log2(max(1, output_tokens)), low <= output_tokens <= high))
        self._since_look += 1
        if len(self._seen) < LEAST or self._since_look < LOOK_EVERY:
            return False
        self._since_look = 0
        scores, lengths, inside = np.array(self._seen).T
        tau = kendall_tau(scores, lengths)
        self.quality = Quality(
            n=len(scores),
            kendall_tau=tau,
            pairwise_accuracy=pairwise_accuracy(scores, lengths),
            coverage_80=float(inside.mean()),
            bias_octaves=float((lengths - scores).mean()),
        )
        before = self.trusted
        if self.trusted and tau < self.distrust_below:
            self.trusted = False
        elif not self.trusted and tau > self.trust_above:
            self.trusted = True
        return self.trusted is not before
