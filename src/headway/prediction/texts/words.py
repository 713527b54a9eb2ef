"""Text as words."""

from __future__ import annotations

import re
from typing import TypeVar

Word = TypeVar("Word")

FIRST_WORDS = 192
LAST_WORDS = 64
"""How much of a long text is used: the question is usually at its beginning or its end."""

_WORD = re.compile(r"[^\W_]+|[^\w\s]")


def without_middle(text: str) -> str:
    """`text` without its middle if it is long: all that `words_of` needs."""
    # Eight characters a word are more than the average of any language with words.
    if len(text) > 8 * (FIRST_WORDS + LAST_WORDS):
        return text[: 8 * FIRST_WORDS] + "\n" + text[-8 * LAST_WORDS :]
    return text


def words_of(text: str) -> list[str]:
    """Words and punctuation marks in lower case; the middle of a long text is left out."""
    return first_and_last(split_words(without_middle(text).lower()))


def split_words(text: str) -> list[str]:
    """All words and punctuation marks, in their original case."""
    return _WORD.findall(text)


def first_and_last(words: list[Word]) -> list[Word]:
    """The first and the last words of a long list; a short one whole."""
    if len(words) > FIRST_WORDS + LAST_WORDS:
        return words[:FIRST_WORDS] + words[-LAST_WORDS:]
    return words


def normal(text: str) -> str:
    """Normalised text: equal for texts that differ only in case, punctuation and space."""
    return re.sub(r"\W+", " ", text.lower()).strip()
