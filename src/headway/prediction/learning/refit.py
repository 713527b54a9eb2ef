"""A predictor anew, from what finished since: kept only if it ranks the newest traffic better."""

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
"""Part of the traffic that both are compared on, and that the new one was not trained on."""
LEAST_GAIN = 0.005
"""Of Kendall's tau; less is chance."""


class Verdict(msgspec.Struct, frozen=True):
    """How the two predictors rank the newest requests."""

    examples: int
    """That the new one was trained on."""
    newest: int
    """That both are compared on."""
    tau_current: float
    tau_new: float

    @property
    def better(self) -> bool:
        """Whether the new one is to be used."""
        return self.tau_new > self.tau_current + LEAST_GAIN


@dataclass(frozen=True)
class Refit:
    """A new predictor, and what it is worth."""

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
    """Train on all requests but the newest, and compare with `current` on these.

    Args:
        target: a model's name.
        name: of the log.
        features: of finished requests, in their order.
        lengths: their output tokens.
        current: what predicts so far.
        base: a model of other traffic, such as the one that ships.

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
