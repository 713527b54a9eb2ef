"""Checks on recent requests whether the predicted order is worth anything."""

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
"""Minimum number of finished requests. A random order of this many has |tau| < 0.14 in 19 of 20
windows."""
DISTRUST_BELOW = 0.1
"""Kendall's tau below which predictions are no longer trusted."""
TRUST_ABOVE = 0.2
"""Tau above which they are trusted again; the gap prevents flapping."""
LOOK_EVERY = 10
LEAST_PAIRS = 200
"""Trust changes only with at least this many pairs of one model and different lengths."""
LEAST_UNLIKE = 0.25
"""The same as a share of the pairs of one model: if most answers have one length, or are cut off at
one limit, there is hardly an order to predict."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of the predictions in the window."""

    n: int
    kendall_tau: float
    tau_of_all: float
    """Estimated tau over all predicted requests, which vary more than those that finished."""
    pairwise_accuracy: float
    coverage_80: float
    bias_octaves: float
    """Mean of log2(length / prediction): 1 means answers twice as long as predicted."""


@dataclass(frozen=True, slots=True)
class _Seen:
    model: str
    score: float
    length: float
    """log2 of tokens."""
    limit: float
    """log2 of `max_tokens`; infinite without."""
    inside: bool
    """Whether the length is in the predicted interval."""


class Watch:
    """Compares predicted and real order over a sliding window.

    Only requests of the same model are compared, each pair under the smaller of their limits: that
    one model writes more than another, or that `max_tokens` bounds an answer, is known without any
    prediction.
    """

    def __init__(self) -> None:
        self.trusted = True
        self.quality: Quality | None = None
        """As of the last check; None before the first."""
        self._seen: deque[_Seen] = deque(maxlen=WINDOW)
        self._since_look = 0
        self._predicted: deque[tuple[str, float]] = deque(maxlen=2 * WINDOW)

    def predicted(self, model: str, score: float) -> None:
        """Record the prediction for a request to `model` that has not finished."""
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
            model: the model that answered.
            score: expected log2 of output tokens, before its limit.
            estimate: predicted distribution, before its limit.
            output_tokens: real length.
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
        if self.trusted and tau < DISTRUST_BELOW:
            self.trusted = False
        elif not self.trusted and tau > TRUST_ABOVE:
            self.trusted = True
        return self.trusted is not before


class _Pairs:
    """All pairs of requests to the same model, each pair under the smaller of its two limits."""

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
        """Whether there are enough pairs to judge by."""
        unlike = self._unlike_lengths  # in both orders, like all counts here
        return bool(unlike >= max(2 * LEAST_PAIRS, LEAST_UNLIKE * self._pairs))

    @property
    def tau(self) -> float:
        """Kendall's tau-b; 0 if all scores or all lengths are equal."""
        pairs = self._unlike_scores * self._unlike_lengths
        return self._agreement / sqrt(pairs) if pairs else 0.0

    @property
    def accuracy(self) -> float:
        """Share of pairs of different length in the right order; equal scores count half."""
        unlike = self._unlike_lengths
        return 0.5 + 0.5 * self._agreement / unlike if unlike else 0.5


def _order(values: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """For each pair 1 if the first value is larger, -1 if it is smaller, 0 if equal."""
    order: np.ndarray = np.sign(np.minimum(values[:, None], limit) - np.minimum(values, limit))
    return order


def _spread(scores: Collection[tuple[str, float]]) -> float:
    """Standard deviation of scores around the mean of their model."""
    of_model: dict[str, list[float]] = {}
    for model, score in scores:
        of_model.setdefault(model, []).append(score)
    squares = sum(float(np.var(own)) * len(own) for own in of_model.values())
    free = len(scores) - len(of_model)
    return sqrt(squares / free) if free else 0.0


def _of_all(tau: float, spread: float, predicted: Collection[tuple[str, float]]) -> float:
    """Kendall's tau, corrected for restriction of range.

    If the shortest run first, those that finished are similar in length, and their tau understates
    that of all requests. Source: Thorndike 1949, case 2; Greiner's relation between tau and the
    correlation.
    """
    if not spread or len(predicted) < LEAST:
        return tau
    wider = max(1.0, _spread(predicted) / spread)
    of_finished = sin(pi / 2.0 * tau)
    of_all = of_finished * wider / sqrt(1.0 + of_finished**2 * (wider**2 - 1.0))
    return 2.0 / pi * asin(of_all)
