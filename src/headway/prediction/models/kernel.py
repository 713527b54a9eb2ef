"""Kernel ridge regression on a sample of the examples (Nystroem's approximation)."""

from __future__ import annotations

import numpy as np

from headway.prediction.arrays import Floats, State

LANDMARKS = 1024
WIDTH = 0.3
"""Of the radial basis function: exp(-WIDTH / dimensions * distance^2) of standardised features."""
FARTHEST = 4.0
"""Features are clipped at this many standard deviations."""


class KernelRidge:
    """Similarity to known prompts; the best single model for a few hundred examples.

    Source: Williams and Seeger 2001.
    """

    def __init__(self, mean: Floats, scale: Floats, landmarks: Floats, weights: Floats) -> None:
        self._mean = mean
        self._scale = scale
        self._landmarks = landmarks
        self._weights = weights
        self._squares = np.einsum("ij,ij->i", landmarks, landmarks)

    @classmethod
    def fit(
        cls, features: Floats, targets: Floats, sample_weights: Floats, alpha: float
    ) -> KernelRidge:
        """Fit `targets`, whose mean should be 0, by least squares with penalty `alpha`."""
        mean = features.mean(axis=0)
        scale = 1.0 / (features.std(axis=0) + 1e-3)
        standard = _standard(features, mean, scale)
        chosen = np.random.default_rng(0).permutation(len(features))[:LANDMARKS]
        model = cls(mean, scale, standard[chosen], np.zeros(len(chosen), np.float32))
        kernel = model._kernel(standard).astype(np.float64)
        among = model._kernel(standard[chosen]).astype(np.float64)
        weighted = kernel * sample_weights[:, None]
        system = weighted.T @ kernel + alpha * among + 1e-6 * np.eye(len(chosen))
        model._weights = np.linalg.solve(system, weighted.T @ targets).astype(np.float32)
        return model

    def scores(self, features: Floats) -> Floats:
        """One score per row."""
        scores: Floats = self._kernel(_standard(features, self._mean, self._scale)) @ self._weights
        return scores

    def _kernel(self, standard: Floats) -> Floats:
        squares = np.einsum("ij,ij->i", standard, standard)
        distances = squares[:, None] + self._squares - 2.0 * standard @ self._landmarks.T
        kernel: Floats = np.exp(-WIDTH / standard.shape[1] * np.maximum(distances, 0.0))
        return kernel

    def state(self) -> State:
        return {
            "mean": self._mean,
            "scale": self._scale,
            "landmarks": self._landmarks.astype(np.float16),
            "weights": self._weights,
        }

    @classmethod
    def of(cls, state: State) -> KernelRidge:
        landmarks = state["landmarks"].astype(np.float32)
        return cls(state["mean"], state["scale"], landmarks, state["weights"])  # type: ignore[arg-type]


def _standard(features: Floats, mean: Floats, scale: Floats) -> Floats:
    standard: Floats = np.clip((features - mean) * scale, -FARTHEST, FARTHEST)
    return standard
