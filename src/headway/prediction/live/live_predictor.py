"""A predictor in use: corrected by its recent errors, and mixed with history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import numpy as np

from headway.core.estimate import SizeEstimate
from headway.prediction.live.censored import teaches
from headway.prediction.live.evidence import SUREST, Evidence, mixed
from headway.prediction.live.history import LengthHistory, Origin
from headway.prediction.models.bins import BIN_TOKENS, longer
from headway.prediction.models.calibration import Calibration
from headway.prediction.models.predictor import Predictor
from headway.prediction.models.refinement import (
    Correction,
    Refinement,
    middle_octaves,
    standing,
    stretched,
)
from headway.prediction.texts.lexical import asked_items
from headway.prediction.texts.prompt import Prompt
from headway.prediction.texts.words import words_of

PSEUDO_ANSWERS = 8.0
"""Weight of the prior that the predictor is unbiased, as a number of answers."""
REMEMBERED_ANSWERS = 500.0
WEIGHT_STEPS = 16
"""Weights are rounded to 1/WEIGHT_STEPS, so that there are few distinct mixtures."""

_OCTAVES = tuple(map(log2, BIN_TOKENS))


@dataclass(frozen=True, slots=True)
class Reading:
    """The score of a prompt, from a predictor or from the model's own guess."""

    score: float
    """Expected log2 of output tokens, before any correction."""
    calibration: Calibration
    """Belongs to the source of the score."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The prediction for one request, with its parts."""

    score: float
    """Expected log2 of output tokens."""
    estimate: SizeEstimate
    """Before the limit of the request."""
    of_prompt: SizeEstimate
    of_history: SizeEstimate
    reading: Reading


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A running answer."""

    prompt: Prompt
    text: str
    """The text so far."""
    output_tokens: int
    predicted: SizeEstimate
    """Length of the whole answer, from the prompt alone."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the refinement read from an unfinished answer."""

    output_tokens: int
    """Length at that moment."""
    octaves: float
    """How much longer the rest is than predicted, before any correction."""
    predicted: SizeEstimate


class LivePredictor:
    """Forecasts for one gateway.

    Args:
        predictor: for models that have no predictor of their own.
        history: the lengths so far, which the gateway updates.
        refinement: reads unfinished answers.
    """

    def __init__(
        self, predictor: Predictor, history: LengthHistory, refinement: Refinement
    ) -> None:
        self._predictor = predictor
        self._refinement = refinement
        self._of_model: dict[str, Predictor] = {}
        self._history = history
        self._evidence = Evidence()
        self._corrections: dict[str, Correction] = {}
        self._errors: dict[tuple[str, Calibration], tuple[float, float]] = {}
        """Sum and number of errors, by model and by the calibration of the score."""

    def use(self, model: str, predictor: Predictor) -> None:
        """Use `predictor` for prompts to `model` from now on."""
        replaced = self.predictor_of(model).calibration
        self._errors.pop((model, replaced), None)
        self._of_model[model] = predictor

    def predictor_of(self, model: str) -> Predictor:
        """The predictor for prompts to `model`."""
        return self._of_model.get(model, self._predictor)

    def read(self, prompts: Sequence[tuple[str, Prompt]]) -> list[Reading]:
        """Read prompts, given as pairs of model and prompt.

        The expensive part, safe to run in another thread: it reads each mutable value only once.
        """
        places: dict[Predictor, list[int]] = {}
        for place, (model, _) in enumerate(prompts):
            places.setdefault(self.predictor_of(model), []).append(place)
        readings: dict[int, Reading] = {}
        for predictor, own in places.items():
            scores = predictor.scores([prompts[place][1] for place in own])
            readings |= {
                place: Reading(score, predictor.calibration)
                for place, score in zip(own, scores, strict=True)
            }
        return [readings[place] for place in range(len(prompts))]

    def look(self, answers: Sequence[Unfinished]) -> list[Look]:
        """Read unfinished answers; safe to run in another thread, too."""
        if not answers:
            return []
        rows = [
            standing(
                answer.text,
                answer.output_tokens,
                asked_items(words_of(answer.prompt.text)),
                answer.predicted,
            )
            for answer in answers
        ]
        return [
            Look(answer.output_tokens, octaves, answer.predicted)
            for answer, octaves in zip(
                answers, self._refinement.octaves(np.array(rows)), strict=True
            )
        ]

    def refined(self, look: Look, model: str) -> SizeEstimate:
        """Output tokens of the whole answer, before the limit of the request."""
        correction = self._corrections.get(model) or Correction()
        return stretched(look.predicted, look.output_tokens, correction.of(look.octaves))

    def looked(
        self, looks: Sequence[Look], model: str, output_tokens: int, cut_off: bool = False
    ) -> None:
        """An answer of `model` finished with `output_tokens`; `looks` were taken on the way."""
        correction = self._corrections.setdefault(model, Correction())
        for look in looks:
            left = max(1, output_tokens - look.output_tokens)
            middle = middle_octaves(look.predicted, look.output_tokens)
            if not cut_off or teaches(output_tokens, look.output_tokens + 2.0**middle):
                correction.observe(look.octaves, log2(left) - middle)

    def forecast(self, reading: Reading, origin: Origin) -> Forecast:
        """The prediction for a request, from a `reading` of its prompt."""
        of_prompt = self._of_prompt(reading, origin.model)
        of_history = self._history.estimate(origin, None)
        weight = self._evidence.weight(origin.model, origin.template)
        # Neither is rounded away: a length may be in the tail of one of them only.
        weight = min(1.0 - SUREST, max(SUREST, round(weight * WEIGHT_STEPS) / WEIGHT_STEPS))
        estimate = mixed(of_prompt, of_history, weight)
        score = sum(map(float.__mul__, _OCTAVES, estimate.weights))
        return Forecast(score, estimate, of_prompt, of_history, reading)

    def observe(
        self, forecast: Forecast, origin: Origin, output_tokens: int, cut_off: bool = False
    ) -> None:
        """A request with this `forecast` finished with `output_tokens`.

        It ended by itself, or was `cut_off` by its own limit.
        """
        model, of_prompt, of_history = origin.model, forecast.of_prompt, forecast.of_history
        if not cut_off or teaches(output_tokens, of_prompt.quantile(0.5)):
            by = (model, forecast.reading.calibration)
            error = log2(max(1, output_tokens)) - forecast.reading.score
            total, count = self._errors.get(by, (0.0, 0.0))
            if count >= REMEMBERED_ANSWERS:
                total, count = total / 2.0, count / 2.0
            self._errors[by] = (total + error, count + 1.0)
        if cut_off:
            # The answer would have been longer: probability beyond the limit counts as correct.
            of_prompt, of_history = (
                of_prompt.capped(output_tokens),
                of_history.capped(output_tokens),
            )
        self._evidence.observe(model, origin.template, of_prompt, of_history, output_tokens)

    def _of_prompt(self, reading: Reading, model: str) -> SizeEstimate:
        """The distribution for a score, corrected by how much longer `model` writes."""
        # Corrects the estimate, as all scores outside the calibrated range have the same one.
        estimate = reading.calibration.estimate(reading.score)
        return longer(estimate, round(4.0 * self._bias(reading, model)))

    def _bias(self, reading: Reading, model: str) -> float:
        """Octaves by which answers of `model` are longer than this source predicts."""
        total, count = self._errors.get((model, reading.calibration), (0.0, 0.0))
        return total / (count + PSEUDO_ANSWERS)
