"""Ridge regression on TF-IDF of words and word pairs."""

from __future__ import annotations

import numpy as np

from headway.prediction.arrays import Floats, State
from headway.prediction.texts.buckets import BUCKETS, Buckets

MIN_DOCUMENTS = 2
"""Buckets of fewer prompts are ignored."""


class HashedRidge:
    """One weight per bucket. The baseline, and a part of the stack."""

    def __init__(self, idf: Floats, weights: Floats, intercept: float) -> None:
        self._idf = idf
        self._weights = weights
        self._intercept = intercept

    @classmethod
    def fit(
        cls, buckets: Buckets, targets: Floats, sample_weights: Floats, alpha: float
    ) -> HashedRidge:
        """Fit `targets` (one per text) by least squares with penalty `alpha`."""
        from scipy.sparse import csr_array
        from sklearn.linear_model import Ridge

        row, column = buckets.row, buckets.column
        documents = np.bincount(column, minlength=BUCKETS)
        idf = np.log((1.0 + buckets.texts) / (1.0 + documents)) + 1.0
        idf[documents < MIN_DOCUMENTS] = 0.0
        values, norms = _values(buckets, idf.astype(np.float32))
        matrix = csr_array((values / norms[row], (row, column)), (buckets.texts, BUCKETS))
        ridge = Ridge(alpha=alpha, solver="sparse_cg")
        ridge.fit(matrix, targets, sample_weight=sample_weights)
        return cls(idf.astype(np.float32), ridge.coef_.astype(np.float32), float(ridge.intercept_))

    def scores(self, buckets: Buckets) -> Floats:
        """One score per text."""
        values, norms = _values(buckets, self._idf)
        products = values * self._weights[buckets.column]
        sums = np.bincount(buckets.row, products, minlength=buckets.texts)
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


def _values(buckets: Buckets, idf: Floats) -> tuple[Floats, Floats]:
    """The TF-IDF of each entry, and the norm of each text."""
    values = buckets.weight * idf[buckets.column]
    norms = np.sqrt(np.bincount(buckets.row, values * values, minlength=buckets.texts))
    return values, np.maximum(norms, 1e-6).astype(np.float32)
