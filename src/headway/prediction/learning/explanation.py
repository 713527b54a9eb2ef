"""Which words of a prompt drive its predicted length."""

from __future__ import annotations

import re

import msgspec

from headway.prediction.models.bins import interval
from headway.prediction.models.predictor import Predictor
from headway.prediction.texts.prompt import Prompt

MOST_WORDS = 256
SHOWN = 8


class WordEffect(msgspec.Struct, frozen=True):
    """One word of the prompt, and its effect."""

    text: str
    factor: float
    """Predicted length with the word, divided by that without it."""


class Explanation(msgspec.Struct, frozen=True):
    """A prediction and the words that drove it."""

    mean_tokens: float
    interval_80: tuple[int, int]
    words: tuple[WordEffect, ...]
    """The words with the largest effects, largest first."""


def explain(predictor: Predictor, text: str) -> Explanation:
    """Predict the length for `text`, and for `text` without each of its first words in turn."""
    spans = [match.span() for match in re.finditer(r"\S+", text)][:MOST_WORDS]
    without = [Prompt(text[:start] + text[end:]) for start, end in spans]
    whole, *others = predictor.predict([Prompt(text), *without])
    words = [
        WordEffect(text[start:end], 2.0 ** (whole.score - other.score))
        for (start, end), other in zip(spans, others, strict=True)
    ]
    words.sort(key=lambda word: -max(word.factor, 1.0 / word.factor))
    return Explanation(whole.estimate.mean, interval(whole.estimate, 0.8), tuple(words[:SHOWN]))
