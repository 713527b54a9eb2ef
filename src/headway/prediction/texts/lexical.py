"""Counts taken from the words of a prompt that hint at the length of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from math import log1p

import numpy as np

from headway.prediction.arrays import Floats
from headway.prediction.texts.kinds import (
    CHARACTERS,
    FIRST_GROUP,
    FOREIGN,
    GROUPS,
    KINDS,
    NUMBER,
    number_named,
)
from headway.prediction.texts.prompt import Prompt
from headway.prediction.texts.vocabulary import Words

HEAD_WORDS = 16

_KIND_OF_UNIT = {
    "word": 0,
    "words": 0,
    "sentence": 1,
    "sentences": 1,
    "line": 1,
    "lines": 1,
    "paragraph": 2,
    "paragraphs": 2,
    "page": 2,
    "pages": 2,
}
_ASKED = ("asked_words", "asked_sentences", "asked_paragraphs", "asked_items")

NAMES: tuple[str, ...] = (
    "words",
    "characters",
    "lines",
    "words_of_last_line",
    *KINDS[:CHARACTERS],
    "numbers",
    "word_length",
    "foreign",
    *_ASKED,
    *(f"{group}_words" for group in GROUPS),
    *(f"{group}_at_start" for group in GROUPS),
    "system",
    "turns",
    "previous_answer",
    "limit",
    "unlimited",
    "temperature",
    "tools",
    "structured",
    "stops",
)
"""Names of the columns of `lexical`."""


def lexical(prompts: Sequence[Prompt], texts: Sequence[str], words: Words) -> Floats:
    """(prompts, NAMES): logarithms of counts that describe each prompt.

    Args:
        prompts: for the parameters of the request.
        texts: of the prompts, without their template.
        words: the words of `texts`.
    """
    counted = np.add.reduceat(words.kinds, words.start, axis=0)
    begin = np.arange(len(words.row)) - words.start[words.row] < HEAD_WORDS
    groups = words.kinds[begin, FIRST_GROUP:]
    at_start = np.add.reduceat(groups, np.cumsum(begin)[words.start] - 1, axis=0)
    lengths = words.lengths.astype(np.float64)
    of_text = [
        (len(text), text.count("\n"), text.rstrip()[-400:].rpartition("\n")[2].count(" "))
        for text in texts
    ]
    asked = [[0.0] * len(_ASKED) for _ in prompts]
    for at in np.flatnonzero(words.named).tolist():
        _count_asked(int(words.named[at]), words.after(at, 2), asked[words.row[at]])
    return np.column_stack(
        [
            np.log1p(lengths),
            np.log1p(of_text),
            np.log1p(counted[:, :CHARACTERS]),
            np.log1p(counted[:, NUMBER]),
            counted[:, CHARACTERS] / (lengths + 1.0),
            counted[:, FOREIGN] / (lengths + 1.0),
            np.log1p(asked),
            np.log1p(counted[:, FIRST_GROUP:]),
            np.log1p(at_start),
            [_of_request(prompt) for prompt in prompts],
        ]
    ).astype(np.float32)


def _of_request(prompt: Prompt) -> list[float]:
    limit = prompt.max_tokens
    return [
        log1p(len(prompt.system)),
        log1p(prompt.turns - 1.0),
        log1p(prompt.previous_chars),
        log1p(limit) if limit is not None else 0.0,
        1.0 if limit is None else 0.0,
        min(2.0, prompt.temperature) if prompt.temperature is not None else 1.0,
        log1p(prompt.tools),
        1.0 if prompt.structured else 0.0,
        log1p(prompt.stops),
    ]


def asked_items(words: Sequence[str]) -> float:
    """Number of items that a prompt with these words asks for ("ten tips": 10); 0 if none."""
    asked = [0.0] * len(_ASKED)
    for index, word in enumerate(words):
        value = number_named(word)
        if value:
            _count_asked(value, words[index + 1 : index + 3], asked)
    return asked[_ASKED.index("asked_items")]


def _count_asked(value: int, following: Sequence[str], asked: list[float]) -> None:
    """Store what a number counts (five words, three short paragraphs, 10 tips), by _ASKED."""
    for unit in following:
        kind = _KIND_OF_UNIT.get(unit)
        if kind is None and len(unit) > 3 and unit.endswith("s"):
            kind = 3
        if kind is not None:
            asked[kind] = max(asked[kind], float(value))
            return
