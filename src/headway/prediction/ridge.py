"""TF-IDF of words and pairs of words, and ridge regression on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headway.prediction.arrays import Floats, State
from headway.prediction.words import BUCKETS

MIN_DOCUMENTS = 2
"""Buckets that fewer prompts fall into teach nothing."""


class HashedRidge:
    """A weight for every bucket of `hashed_pairs`. The baseline, and a part of the stack."""

    def __init__(self, idf: Floats, weights: Floats, intercept: float) -> None:
        self._idf = idf
        self._weights = weights
        self._intercept = intercept

    @classmethod
    def fit(
        cls, buckets: Sequence[Sequence[int]], targets: Floats, sample_weights: Floats, alpha: float
    ) -> HashedRidge:
        """Least squares of `targets` (one per text) with penalty `alpha`."""
        from scipy.sparse import csr_array
        from sklearn.linear_model import Ridge

        rows, columns, counts = _counted(buckets)
        documents = np.bincount(columns, minlength=BUCKETS)
        idf = np.log((1.0 + len(buckets)) / (1.0 + documents)) + 1.0
        idf[documents < MIN_DOCUMENTS] = 0.0
        values, norms = _values(rows, columns, counts, idf.astype(np.float32), len(buckets))
        matrix = csr_array((values / norms[rows], (rows, columns)), (len(buckets), BUCKETS))
        ridge = Ridge(alpha=alpha, solver="sparse_cg")
        ridge.fit(matrix, targets, sample_weight=sample_weights)
        return cls(idf.astype(np.float32), ridge.coef_.astype(np.float32), float(ridge.intercept_))

    def scores(self, buckets: Sequence[Sequence[int]]) -> Floats:
        """One score per text."""
        rows, columns, counts = _counted(buckets)
        values, norms = _values(rows, columns, counts, self._idf, len(buckets))
        sums = np.bincount(rows, values * self._weights[columns], minlength=len(buckets))
        scores: Floats = (sums / norms + self._intercept).astype(np.float32)
        return scores

    def state(self) -> State:
        # Half precision changes no score by more than a thousandth.
        used = np.flatnonzero(self._idf * self._weights).astype(np.int32)
        return {
            "buckets": used,
            "idf": self._idf[used].astype(np.float16),
            "weights": self._weights[used].astype(np.float16),
            "intercept": np.array([self._intercept], np.float32),
        }

    @classmethod
    def of(cls, state: State) -> HashedRidge:
        idf, weights = np.zeros(BUCKETS, np.float32), np.zeros(BUCKETS, np.float32)
        idf[state["buckets"]] = state["idf"]
        weights[state["buckets"]] = state["weights"]
        return cls(idf, weights, float(state["intercept"][0]))


def _counted(
    buckets: Sequence[Sequence[int]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Text, bucket and number of occurrences, for each bucket of each text."""
    lengths = np.fromiter(map(len, buckets), np.int64, len(buckets))
    flat = np.fromiter((b for text in buckets for b in text), np.int64, int(lengths.sum()))
    keys, counts = np.unique(
        np.repeat(np.arange(len(buckets)), lengths) * BUCKETS + flat, return_counts=True
    )
    return keys // BUCKETS, keys % BUCKETS, counts


def _values(
    rows: np.ndarray, columns: np.ndarray, counts: np.ndarray, idf: Floats, texts: int
) -> tuple[np.ndarray, np.ndarray]:
    """TF-IDF of each entry, and the norm of each text."""
    values = (1.0 + np.log(counts)) * idf[columns]
    norms = np.sqrt(np.bincount(rows, values * values, minlength=texts))
    return values, np.maximum(norms, 1e-6)
