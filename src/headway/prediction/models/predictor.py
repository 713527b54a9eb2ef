"""The predictor: from prompts to scores and distributions of output tokens."""

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
    """The predicted length of the answer to a prompt."""

    score: float
    """Expected log2 of output tokens: for ranking."""
    estimate: SizeEstimate
    """Distribution of output tokens: for everything else."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """How a predictor was made."""

    target: str
    """Name of the model whose lengths it predicts."""
    data: tuple[str, ...]
    """Names of the training data."""
    examples: int
    trained_unix_s: float
    kendall_tau: float
    """Of held-back scores and observed lengths."""


class Predictor:
    """A model, the calibration of its scores, and its card."""

    def __init__(self, model: Stack | EncodedStack, calibration: Calibration, card: Card) -> None:
        self.model = model
        self.calibration = calibration
        self.card = card

    def scores(self, prompts: Sequence[Prompt]) -> list[float]:
        """One score per prompt, see Prediction; always finite."""
        if not prompts:
            return []
        scores = np.nan_to_num(self.model.scores(prompts), nan=0.0, posinf=15.0, neginf=0.0)
        numbers: list[float] = scores.tolist()
        return numbers

    def predict(self, prompts: Sequence[Prompt]) -> list[Prediction]:
        """One prediction per prompt. The caller applies limits such as `max_tokens`."""
        return [
            Prediction(score, self.calibration.estimate(score)) for score in self.scores(prompts)
        ]
