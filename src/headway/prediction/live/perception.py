"""A model's own guess of the length of its answer ("perception only").

Zheng et al., "Response Length Perception and Sequence Scheduling" (NeurIPS 2023).
"""

from __future__ import annotations

import re
from functools import cache
from math import log2

import numpy as np

from headway.prediction.models.bins import BIN_TOKENS
from headway.prediction.models.calibration import Calibration

QUESTION = (
    "How many words will your answer to the request below have? Do not answer the request. "
    "Reply with one number only.\n\nRequest: {}"
)
GUESS_TOKENS = 12
"""Maximum length of a reply."""
TOKENS_PER_WORD = 4 / 3
"""For English; a model's deviation is learned from its answers."""
SPREAD_OCTAVES = 1.5
"""Assumed standard deviation of lengths around guesses."""
MOST_OCTAVES = 15.0
STEP_OCTAVES = 0.25

_NUMBER = re.compile(r"\d[\d,]*")


def words_guessed(reply: str) -> float | None:
    """The number in a reply to QUESTION; None if there is none above 0."""
    found = _NUMBER.search(reply)
    words = float(found[0].replace(",", "")) if found else 0.0
    return words if words > 0.0 else None


def score_of(words: float) -> float:
    """Expected log2 of the output tokens of this many words."""
    return min(MOST_OCTAVES, max(0.0, log2(words * TOKENS_PER_WORD)))


@cache
def calibration_of_guesses() -> Calibration:
    """Lengths as log-normal around the guess."""
    scores = np.arange(0.0, MOST_OCTAVES + STEP_OCTAVES, STEP_OCTAVES, dtype=np.float32)
    away = (np.log2(BIN_TOKENS) - scores[:, None]) / SPREAD_OCTAVES
    weights = np.exp(-(away**2) / 2.0)
    return Calibration(scores, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))
