"""Why a prompt is predicted to be answered at that length."""

from __future__ import annotations

import re

import msgspec

from headway.prediction.models.bins import interval
from headway.prediction.models.predictor import Predictor
from headway.prediction.texts.prompt import Prompt

MOST_WORDS = 256
SHOWN = 8


class WordEffect(msgspec.Struct, frozen=True):
    """One word of the prompt, and what it does."""

    text: str
    factor: float
    """The predicted length with it, over that without it."""


class Explanation(msgspec.Struct, frozen=True):
    """A prediction and what drove it."""

    mean_tokens: float
    interval_80: tuple[int, int]
    words: tuple[WordEffect, ...]
    """Those that matter most, the most important first."""


def explain(predictor: Predictor, text: str) -> Explanation:
    """Predict `text` whole, and once without each of its first words."""
    spans = [match.span() for match in re.finditer(r"\S+", text)][:MOST_WORDS]
    without = [Prompt(text[:start] + text[end:]) for start, end in spans]
    whole, *others = predictor.predict([Prompt(text), *without])
    words = [
        WordEffect(text[start:end], 2.0 ** (whole.score - other.score))
        for (start, end), other in zip(spans, others, strict=True)
    ]
    words.sort(key=lambda word: -max(word.factor, 1.0 / word.factor))
    return Explanation(whole.estimate.mean, interval(whole.estimate, 0.8), tuple(words[:SHOWN]))
