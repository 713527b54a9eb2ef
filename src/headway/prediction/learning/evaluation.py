"""How good predictions are."""

from __future__ import annotations

import time

import msgspec
import numpy as np

from headway.prediction.learning.examples import Examples, ExamplesError
from headway.prediction.models.bins import interval, quantile
from headway.prediction.models.predictor import Predictor

BATCH = 32
"""Prompts predicted at once, as under load."""


class Evaluation(msgspec.Struct, frozen=True):
    """Results of a predictor on examples that it was not trained on."""

    n: int
    kendall_tau: float
    """Tau-b of score and length: 1 is the right order, 0 is chance."""
    pairwise_accuracy: float
    """Share of pairs of different length whose shorter request was predicted shorter."""
    coverage_80: float
    """Share of lengths within the predicted 80% interval."""
    mae_tokens: float
    """Mean absolute error of the predicted median."""
    ms_per_prompt: float
    """Measured in batches of 32."""


def evaluate(predictor: Predictor, examples: Examples, target: str | None = None) -> Evaluation:
    """Compare predictions with the lengths in `examples`.

    Args:
        predictor: for any model.
        examples: with real lengths.
        target: the model in `examples`, for error messages; None: that of the predictor.

    Raises:
        ExamplesError: fewer than two examples have a length.
    """
    examples = examples.answered()
    if len(examples) < 2:
        raise ExamplesError(
            f"{examples.name} has {len(examples)} lengths of {target or predictor.card.target!r}; "
            "name a column of its lengths.csv as the target"
        )
    predictor.predict(examples.prompts[:BATCH])  # warms up lazy parts
    start_s = time.perf_counter()
    predictions = [
        prediction
        for first in range(0, len(examples), BATCH)
        for prediction in predictor.predict(examples.prompts[first : first + BATCH])
    ]
    spent_s = time.perf_counter() - start_s
    scores = np.array([prediction.score for prediction in predictions])
    lengths = examples.lengths
    intervals = np.array([interval(prediction.estimate, 0.8) for prediction in predictions])
    medians = np.array([quantile(prediction.estimate, 0.5) for prediction in predictions])
    inside = (intervals[:, 0] <= lengths) & (lengths <= intervals[:, 1])
    return Evaluation(
        n=len(examples),
        kendall_tau=kendall_tau(scores, lengths),
        pairwise_accuracy=pairwise_accuracy(scores, lengths),
        coverage_80=float(inside.mean()),
        mae_tokens=float(np.abs(medians - lengths).mean()),
        ms_per_prompt=1000.0 * spent_s / len(examples),
    )


def kendall_tau(scores: np.ndarray, lengths: np.ndarray) -> float:
    """Kendall's tau-b; 0 if all scores or all lengths are equal."""
    agreement, unlike_scores, unlike_lengths = _pairs(scores, lengths)
    pairs = unlike_scores * unlike_lengths
    return float(agreement / np.sqrt(pairs)) if pairs else 0.0


def pairwise_accuracy(scores: np.ndarray, lengths: np.ndarray) -> float:
    """Share of pairs of different length in the right order; equal scores count half."""
    agreement, _, unlike_lengths = _pairs(scores, lengths)
    return float(0.5 + 0.5 * agreement / unlike_lengths) if unlike_lengths else 0.5


def _pairs(scores: np.ndarray, lengths: np.ndarray) -> tuple[float, float, float]:
    """Concordant minus discordant pairs; pairs of different score; pairs of different length."""
    count = len(scores)
    agreement = 0.0
    unlike_scores = unlike_lengths = 0
    for first in range(0, count, 1024):
        by_score = np.sign(scores[first : first + 1024, None] - scores)
        by_length = np.sign(lengths[first : first + 1024, None] - lengths)
        agreement += float(np.einsum("ij,ij->", by_score, by_length))
        unlike_scores += int(np.count_nonzero(by_score))
        unlike_lengths += int(np.count_nonzero(by_length))
    return agreement / 2.0, unlike_scores / 2.0, unlike_lengths / 2.0
