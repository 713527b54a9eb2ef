"""A predictor at work: corrected by what it got wrong, and mixed with what history says."""

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
"""A model's answers count as much as the belief that the predictor is right about it, then."""
REMEMBERED_ANSWERS = 500.0
WEIGHT_STEPS = 16
"""Weights are rounded to this part of one, so that few different mixtures are made."""

_OCTAVES = tuple(map(log2, BIN_TOKENS))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a predictor made of a prompt, or a model of a question about it."""

    score: float
    """Expected log2 of output tokens, before any correction."""
    calibration: Calibration
    """What such scores mean: of whoever said it."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected of one request, and of what it was made."""

    score: float
    """Expected log2 of output tokens."""
    estimate: SizeEstimate
    """Before any limit that the request sets."""
    of_prompt: SizeEstimate
    of_history: SizeEstimate
    reading: Reading


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An answer that runs."""

    prompt: Prompt
    text: str
    """So far."""
    output_tokens: int
    predicted: SizeEstimate
    """Output tokens of the whole answer, from the prompt alone."""


@dataclass(frozen=True, slots=True)
class Look:
    """What an unfinished answer said of its rest."""

    output_tokens: int
    """That were there."""
    octaves: float
    """By which the rest is longer than predicted, before any correction."""
    predicted: SizeEstimate


class LivePredictor:
    """Forecasts for one gateway.

    Args:
        predictor: reads prompts to models that have none of their own.
        history: the lengths so far, which the gateway keeps up to date.
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
        """Their sum and number, by model and by who predicted."""

    def use(self, model: str, predictor: Predictor) -> None:
        """From now on `predictor` reads the prompts to `model`."""
        replaced = self.predictor_of(model).calibration
        self._errors.pop((model, replaced), None)
        self._of_model[model] = predictor

    def predictor_of(self, model: str) -> Predictor:
        """Who reads the prompts to `model`."""
        return self._of_model.get(model, self._predictor)

    def read(self, prompts: Sequence[tuple[str, Prompt]]) -> list[Reading]:
        """What the predictors make of prompts, each to the model before it.

        The costly part, for a thread of its own: nothing that changes is looked at twice.
        """
        places: dict[Predictor, list[int]] = {}
        for place, (model, _) in enumerate(prompts):
            places.setdefault(self.predictor_of(model), []).append(place)
        readings: dict[int, Reading] = {}
        for predictor, its in places.items():
            scores = predictor.scores([prompts[place][1] for place in its])
            readings |= {
                place: Reading(score, predictor.calibration)
                for place, score in zip(its, scores, strict=True)
            }
        return [readings[place] for place in range(len(prompts))]

    def look(self, answers: Sequence[Unfinished]) -> list[Look]:
        """What unfinished answers say; for the thread, too."""
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
        """Output tokens of the whole answer, before any limit that the request sets."""
        correction = self._corrections.get(model) or Correction()
        return stretched(look.predicted, look.output_tokens, correction.of(look.octaves))

    def looked(
        self, looks: Sequence[Look], model: str, output_tokens: int, cut_off: bool = False
    ) -> None:
        """An answer of `model` that was looked at so often finished with `output_tokens`."""
        correction = self._corrections.setdefault(model, Correction())
        for look in looks:
            left = max(1, output_tokens - look.output_tokens)
            middle = middle_octaves(look.predicted, look.output_tokens)
            if not cut_off or teaches(output_tokens, look.output_tokens + 2.0**middle):
                correction.observe(look.octaves, log2(left) - middle)

    def forecast(self, reading: Reading, origin: Origin) -> Forecast:
        """Make of `reading` what is to be expected of a request."""
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
        """A request of which that was expected finished with `output_tokens`.

        By itself, or `cut_off` by its own limit.
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
            # What each held to be longer counts for it as well.
            of_prompt, of_history = (
                of_prompt.capped(output_tokens),
                of_history.capped(output_tokens),
            )
        self._evidence.observe(model, origin.template, of_prompt, of_history, output_tokens)

    def _of_prompt(self, reading: Reading, model: str) -> SizeEstimate:
        """What comes of such scores, corrected by how much longer `model` writes."""
        # Not the score is corrected: beyond those that calibration knows all would be the same.
        estimate = reading.calibration.estimate(reading.score)
        return longer(estimate, round(4.0 * self._bias(reading, model)))

    def _bias(self, reading: Reading, model: str) -> float:
        """Octaves by which answers of `model` are longer than whoever predicted says."""
        total, count = self._errors.get((model, reading.calibration), (0.0, 0.0))
        return total / (count + PSEUDO_ANSWERS)
