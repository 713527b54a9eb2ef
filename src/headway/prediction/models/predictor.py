"""The predictor: prompts go in, scores and distributions of output tokens come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from headway.core.estimate import SizeEstimate
from headway.prediction.models.calibration import Calibration
from headway.prediction.models.encoded import EncodedStack
from headway.prediction.models.stack import Stack
from headway.prediction.texts.prompt import Prompt


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a prompt's answer is expected to be."""

    score: float
    """Expected log2 of output tokens: for ranking."""
    estimate: SizeEstimate
    """Distribution of output tokens: for everything else."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """Where a predictor comes from."""

    target: str
    """Whose lengths it predicts: a model's name."""
    data: tuple[str, ...]
    """Names of what it was trained on."""
    examples: int
    trained_unix_s: float
    kendall_tau: float
    """Of held-back scores with the lengths that came."""


class Predictor:
    """A model, what its scores mean in tokens, and where it comes from."""

    def __init__(self, model: Stack | EncodedStack, calibration: Calibration, card: Card) -> None:
        self.model = model
        self.calibration = calibration
        self.card = card

    def scores(self, prompts: Sequence[Prompt]) -> list[float]:
        """One score per prompt, see Prediction; always a number."""
        if not prompts:
            return []
        scores = np.nan_to_num(self.model.scores(prompts), nan=0.0, posinf=15.0, neginf=0.0)
        numbers: list[float] = scores.tolist()
        return numbers

    def predict(self, prompts: Sequence[Prompt]) -> list[Prediction]:
        """One prediction per prompt. Limits such as `max_tokens` are the caller's to apply."""
        return [
            Prediction(score, self.calibration.estimate(score)) for score in self.scores(prompts)
        ]
