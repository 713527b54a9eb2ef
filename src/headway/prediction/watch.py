"""Is the order that was predicted worth anything? Watched on what finished last."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from math import asin, log2, pi, sin, sqrt

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
    tau_of_all: float
    """The same, had those that finished been as varied as all that were predicted."""
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
        self._foretold: deque[float] = deque(maxlen=2 * WINDOW)

    def foretold(self, score: float) -> None:
        """A request was predicted, and will finish some time."""
        self._foretold.append(score)

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
            tau_of_all=_of_all(tau, float(scores.std()), self._foretold),
            pairwise_accuracy=pairwise_accuracy(scores, lengths),
            coverage_80=float(inside.mean()),
            bias_octaves=float((lengths - scores).mean()),
        )
        before = self.trusted
        tau = self.quality.tau_of_all
        if self.trusted and tau < self.distrust_below:
            self.trusted = False
        elif not self.trusted and tau > self.trust_above:
            self.trusted = True
        return self.trusted is not before


def _of_all(tau: float, spread: float, foretold: Collection[float]) -> float:
    """Kendall's tau without restriction of range.

    Where the shortest go first, those that finished are alike, and their order tells less of the
    predictions than that of all would. Source: Thorndike 1949, case 2; Greiner's relation between
    tau and the correlation.
    """
    if not spread or len(foretold) < LEAST:
        return tau
    wider = max(1.0, float(np.std(list(foretold))) / spread)
    of_finished = sin(pi / 2.0 * tau)
    of_all = of_finished * wider / sqrt(1.0 + of_finished**2 * (wider**2 - 1.0))
    return 2.0 / pi * asin(of_all)
