"""Is the order that was predicted worth anything? Watched on what finished last."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from math import asin, inf, log2, pi, sin, sqrt

import numpy as np

from headway.core.estimate import SizeEstimate
from headway.prediction.models.bins import interval

WINDOW = 200
LEAST = 100
"""Finished requests before anything is said. A random order of so many has |tau| < 0.14 in 19 of
20 windows."""
LOOK_EVERY = 10
LEAST_PAIRS = 200
"""Pairs of one model and unlike length without which trust is neither gained nor lost."""
LEAST_UNLIKE = 0.25
"""The same as a part of the pairs of one model: where most answers are of one length, or cut off
at one limit, there is hardly an order to be good at."""


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


@dataclass(frozen=True, slots=True)
class _Seen:
    model: str
    score: float
    length: float
    """In log2 of tokens."""
    limit: float
    """The same of the most it might have had; infinite where it set none."""
    inside: bool
    """Its length is in the predicted interval."""


class Watch:
    """Compares predicted with real order over a sliding window.

    Requests of one model are compared, and any two of them under the smaller of their limits: that
    one model writes more than another, and that a request may not have more than its `max_tokens`,
    is known without any prediction.

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
        self._seen: deque[_Seen] = deque(maxlen=WINDOW)
        self._since_look = 0
        self._predicted: deque[tuple[str, float]] = deque(maxlen=2 * WINDOW)

    def predicted(self, model: str, score: float) -> None:
        """A request to `model` was predicted, and will finish some time."""
        self._predicted.append((model, score))

    def observe(
        self,
        model: str,
        score: float,
        estimate: SizeEstimate,
        output_tokens: int,
        max_tokens: int | None = None,
    ) -> bool:
        """A request to `model` finished. Returns whether `trusted` changed.

        Args:
            model: that answered.
            score: expected log2 of its output tokens, before its limit.
            estimate: what was predicted, before its limit.
            output_tokens: that it had.
            max_tokens: its limit.
        """
        low, high = interval(estimate.capped(max_tokens), 0.8)
        self._seen.append(
            _Seen(
                model,
                score,
                log2(max(1, output_tokens)),
                inf if max_tokens is None else log2(max_tokens),
                low <= output_tokens <= high,
            )
        )
        self._since_look += 1
        if len(self._seen) < LEAST or self._since_look < LOOK_EVERY:
            return False
        self._since_look = 0
        pairs = _Pairs(self._seen)
        tau = pairs.tau
        of_finished = _spread([(seen.model, seen.score) for seen in self._seen])
        self.quality = Quality(
            n=len(self._seen),
            kendall_tau=tau,
            tau_of_all=_of_all(tau, of_finished, self._predicted),
            pairwise_accuracy=pairs.accuracy,
            coverage_80=float(np.mean([seen.inside for seen in self._seen])),
            bias_octaves=float(
                np.mean([seen.length - min(seen.score, seen.limit) for seen in self._seen])
            ),
        )
        before = self.trusted
        tau = self.quality.tau_of_all
        if not pairs.enough:
            return False
        if self.trusted and tau < self.distrust_below:
            self.trusted = False
        elif not self.trusted and tau > self.trust_above:
            self.trusted = True
        return self.trusted is not before


class _Pairs:
    """All pairs of requests of one model, each pair under the smaller of its two limits."""

    def __init__(self, seen: Collection[_Seen]) -> None:
        models = np.array([one.model for one in seen])
        limits = np.array([one.limit for one in seen])
        limit = np.minimum(limits[:, None], limits)
        of_one_model = models[:, None] == models
        self._pairs = np.count_nonzero(of_one_model) - len(seen)
        by_score = _order(np.array([one.score for one in seen]), limit) * of_one_model
        by_length = _order(np.array([one.length for one in seen]), limit) * of_one_model
        self._agreement = float((by_score * by_length).sum())
        self._unlike_scores = np.count_nonzero(by_score)
        self._unlike_lengths = np.count_nonzero(by_length)

    @property
    def enough(self) -> bool:
        """Whether they say anything."""
        unlike = self._unlike_lengths  # both ways, as all that is counted here
        return bool(unlike >= max(2 * LEAST_PAIRS, LEAST_UNLIKE * self._pairs))

    @property
    def tau(self) -> float:
        """Kendall's tau-b; 0 where one of the two is all equal."""
        pairs = self._unlike_scores * self._unlike_lengths
        return self._agreement / sqrt(pairs) if pairs else 0.0

    @property
    def accuracy(self) -> float:
        """Share of pairs of unlike length in the right order, equal scores counting half."""
        unlike = self._unlike_lengths
        return 0.5 + 0.5 * self._agreement / unlike if unlike else 0.5


def _order(values: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """For each pair 1 where the first value is the larger one, -1 where it is the smaller."""
    order: np.ndarray = np.sign(np.minimum(values[:, None], limit) - np.minimum(values, limit))
    return order


def _spread(scores: Collection[tuple[str, float]]) -> float:
    """Standard deviation of scores about the mean of their model."""
    of_model: dict[str, list[float]] = {}
    for model, score in scores:
        of_model.setdefault(model, []).append(score)
    squares = sum(float(np.var(its)) * len(its) for its in of_model.values())
    free = len(scores) - len(of_model)
    return sqrt(squares / free) if free else 0.0


def _of_all(tau: float, spread: float, predicted: Collection[tuple[str, float]]) -> float:
    """Kendall's tau without restriction of range.

    Where the shortest go first, those that finished are alike, and their order tells less of the
    predictions than that of all would. Source: Thorndike 1949, case 2; Greiner's relation between
    tau and the correlation.
    """
    if not spread or len(predicted) < LEAST:
        return tau
    wider = max(1.0, _spread(predicted) / spread)
    of_finished = sin(pi / 2.0 * tau)
    of_all = of_finished * wider / sqrt(1.0 + of_finished**2 * (wider**2 - 1.0))
    return 2.0 / pi * asin(of_all)
