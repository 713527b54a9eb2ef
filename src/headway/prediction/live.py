"""A predictor at work: corrected by what it got wrong, and mixed with what history says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

from headway.core.estimate import SizeEstimate
from headway.prediction.bins import BIN_TOKENS
from headway.prediction.evidence import Evidence, mixed
from headway.prediction.history import LengthHistory
from headway.prediction.predictor import Prediction, Predictor
from headway.prediction.prompt import Prompt

PSEUDO_ANSWERS = 8.0
"""A model's answers count as much as the belief that the predictor is right about it, then."""
REMEMBERED_ANSWERS = 500.0
WEIGHT_STEPS = 16
REMEMBERED_MIXTURES = 2048

_OCTAVES = tuple(map(log2, BIN_TOKENS))


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected of one request, and of what it was made."""

    score: float
    """Expected log2 of output tokens."""
    estimate: SizeEstimate
    """Before any limit that the request sets."""
    of_prompt: SizeEstimate
    of_history: SizeEstimate
    raw_score: float
    """Of the predictor, before any correction."""


class LivePredictor:
    """Forecasts for one gateway.

    Args:
        predictor: reads prompts.
        history: the lengths so far, which the gateway keeps up to date.
    """

    def __init__(self, predictor: Predictor, history: LengthHistory) -> None:
        self.predictor = predictor
        self._history = history
        self._evidence = Evidence()
        self._errors: dict[str, tuple[float, float]] = {}
        self._known: dict[
            tuple[int, int, int], tuple[SizeEstimate, SizeEstimate, SizeEstimate]
        ] = {}

    def read(self, prompts: Sequence[Prompt]) -> list[Prediction]:
        """The costly part, for a thread of its own: nothing but the prompts is looked at."""
        return self.predictor.predict(prompts)

    def forecast(self, prediction: Prediction, model: str, tenant: str, template: int) -> Forecast:
        """Make of `prediction` what is to be expected of a request."""
        of_prompt = self.predictor.calibration.estimate(prediction.score + self._bias(model))
        of_history = self._history.estimate(model, tenant, template, None)
        estimate = self._mixed(of_prompt, of_history, self._evidence.weight(model, template))
        score = sum(map(float.__mul__, _OCTAVES, estimate.weights))
        return Forecast(score, estimate, of_prompt, of_history, prediction.score)

    def observe(self, forecast: Forecast, model: str, template: int, output_tokens: int) -> None:
        """A request of which that was expected finished by itself with `output_tokens`."""
        error = log2(max(1, output_tokens)) - forecast.raw_score
        total, count = self._errors.get(model, (0.0, 0.0))
        if count >= REMEMBERED_ANSWERS:
            total, count = total / 2.0, count / 2.0
        self._errors[model] = (total + error, count + 1.0)
        self._evidence.observe(
            model, template, forecast.of_prompt, forecast.of_history, output_tokens
        )

    def _mixed(
        self, of_prompt: SizeEstimate, of_history: SizeEstimate, weight: float
    ) -> SizeEstimate:
        # Thousands may wait, with few different forecasts: they share one object of 2 KB.
        step = round(weight * WEIGHT_STEPS)
        key = (id(of_prompt), id(of_history), step)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= REMEMBERED_MIXTURES:
                self._known.clear()
            estimate = mixed(of_prompt, of_history, step / WEIGHT_STEPS)
            # With both parts, so that no other object takes the place in memory of either.
            known = self._known[key] = (estimate, of_prompt, of_history)
        return known[0]

    def _bias(self, model: str) -> float:
        """Octaves by which answers of `model` are longer than the predictor says."""
        total, count = self._errors.get(model, (0.0, 0.0))
        return total / (count + PSEUDO_ANSWERS)
