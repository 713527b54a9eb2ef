"""Retrains a predictor on recent traffic; keeps it only if it ranks the newest requests better."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from headway.prediction.learning.evaluation import kendall_tau
from headway.prediction.learning.training import train_on_log
from headway.prediction.models.predictor import Predictor
from headway.prediction.models.stack import Stack
from headway.prediction.texts.features import Features

NEWEST = 0.2
"""Share of the requests held out of training, to compare both predictors on."""
LEAST_GAIN = 0.005
"""In Kendall's tau; smaller gains are noise."""


class Verdict(msgspec.Struct, frozen=True):
    """How well the current and the new predictor rank the newest requests."""

    examples: int
    """Requests that the new predictor was trained on."""
    newest: int
    """Requests that both are compared on."""
    tau_current: float
    tau_new: float

    @property
    def better(self) -> bool:
        """Whether to use the new predictor."""
        return self.tau_new > self.tau_current + LEAST_GAIN


@dataclass(frozen=True)
class Refit:
    """A new predictor, and how it compares."""

    predictor: Predictor
    verdict: Verdict


def refit(
    target: str,
    name: str,
    features: Features,
    lengths: np.ndarray,
    current: Predictor,
    base: Stack,
) -> Refit:
    """Train on all but the newest requests, and compare with `current` on those.

    Args:
        target: name of the model.
        name: of the log.
        features: of finished requests, oldest first.
        lengths: their output tokens.
        current: the predictor in use.
        base: a model of other traffic, such as the shipped one.

    Raises:
        ExamplesError: too few requests.
    """
    first_new = len(features) - round(NEWEST * len(features))
    older, newest = features.rows(slice(first_new)), features.rows(slice(first_new, None))
    predictor = train_on_log(target, name, older, lengths[:first_new], base)
    verdict = Verdict(
        examples=len(older),
        newest=len(newest),
        tau_current=kendall_tau(current.model.scores_of(newest), lengths[first_new:]),
        tau_new=kendall_tau(predictor.model.scores_of(newest), lengths[first_new:]),
    )
    return Refit(predictor, verdict)
