"""What models return for texts, checked: vectors, scores and classes, and how they are written."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np

from headway.gateway.api.errors import ApiError
from headway.models.served import ServedModel
from headway.models.signature import Activation, Signature, Similarity

UNIT_TOLERANCE = 1e-3
"""A vector whose length is within this of 1 counts as one of unit length."""
DIGITS = 8
"""Decimals of vectors in JSON: more than single precision has."""


def vector_of(model: ServedModel, result: Any) -> np.ndarray:
    """The vector of one text. Raises ApiError 500."""
    try:
        vector = np.asarray(result, np.float32)
    except (TypeError, ValueError):
        vector = np.empty(0, np.float32)
    if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
        raise _nonsense(model, "a list of finite numbers for each text")
    return vector


def number_of(model: ServedModel, result: Any) -> float:
    """The score of one pair. Raises ApiError 500."""
    try:
        number = float(result)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise _nonsense(model, "finite numbers")
    return number


def alike(one: np.ndarray, other: np.ndarray, similarity: Similarity) -> float:
    """How alike two vectors are; the more, the larger."""
    if similarity == "cosine":
        lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
        return float(one @ other) / max(lengths, 1e-12)
    if similarity == "dot":
        return float(one @ other)
    return -float(np.linalg.norm(one - other, 1 if similarity == "manhattan" else 2))


def scored(logits: np.ndarray, activation: Activation) -> np.ndarray:
    """Scores from logits, in double precision."""
    exact = logits.astype(np.float64)
    if activation == "none":
        return exact
    if activation == "sigmoid":
        return np.asarray(np.exp(-np.logaddexp(0.0, -exact)))
    weights = np.exp(exact - exact.max())
    return np.asarray(weights / weights.sum())


def class_of(model: ServedModel, result: Any, signature: Signature) -> dict[str, Any]:
    """Label and scores of one text. Raises ApiError 500."""
    if isinstance(result, np.ndarray):
        names: Sequence[str] = signature.labels
        chances = scored(vector_of(model, result), signature.activation).tolist()
        if len(names) != len(chances):
            names = [str(n) for n in range(len(chances))]
    elif isinstance(result, dict) and result:
        names, chances = (
            list(map(str, result)),
            [number_of(model, value) for value in result.values()],
        )
    else:
        raise _nonsense(model, "an object of labels and probabilities for each text")
    best = max(range(len(chances)), key=chances.__getitem__)
    return {"label": names[best], "probs": chances, "num_classes": len(chances)}


def _nonsense(model: ServedModel, expected: str) -> ApiError:
    return ApiError(
        500,
        f"The model {model.name!r} did not return {expected}.",
        type="server_error",
        code="model_failed",
    )


def shortened(vectors: Sequence[np.ndarray], dimensions: int) -> list[np.ndarray]:
    """The vectors cut to `dimensions`, scaled to unit length if they had it.

    Raises:
        ApiError: 400, they have fewer dimensions.
    """
    if dimensions > len(vectors[0]):
        raise ApiError(
            400,
            f"The model's vectors have {len(vectors[0])} dimensions, not {dimensions}.",
            code="invalid_value",
            param="dimensions",
        )
    return [
        vector[:dimensions] / max(float(np.linalg.norm(vector[:dimensions])), 1e-12)
        if abs(float(np.linalg.norm(vector)) - 1.0) < UNIT_TOLERANCE
        else vector[:dimensions]
        for vector in vectors
    ]


def as_floats(vector: np.ndarray) -> list[float]:
    """The vector as numbers in JSON."""
    numbers: list[float] = vector.astype(np.float64).round(DIGITS).tolist()
    return numbers


def as_base64(vector: np.ndarray) -> str:
    """The vector as OpenAI's clients ask for it: 32-bit floats, little-endian."""
    return b64encode(vector.astype("<f4").tobytes()).decode()
