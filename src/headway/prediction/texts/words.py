"""Text as words."""

from __future__ import annotations

import re
from typing import TypeVar

Word = TypeVar("Word")

FIRST_WORDS = 192
LAST_WORDS = 64
"""How much of a long text is looked at: what is asked stands at its beginning or its end."""

_WORD = re.compile(r"[^\W_]+|[^\w\s]")


def without_middle(text: str) -> str:
    """What `words_of` looks at of `text`: the middle of a long one is left out."""
    # Eight characters a word are more than any language of words has on average.
    if len(text) > 8 * (FIRST_WORDS + LAST_WORDS):
        return text[: 8 * FIRST_WORDS] + "\n" + text[-8 * LAST_WORDS :]
    return text


def words_of(text: str) -> list[str]:
    """Words and punctuation marks in lower case; the middle of a long text is left out."""
    return first_and_last(split_words(without_middle(text).lower()))


def split_words(text: str) -> list[str]:
    """All words and punctuation marks, as they are written."""
    return _WORD.findall(text)


def first_and_last(words: list[Word]) -> list[Word]:
    """The first and the last of so many."""
    if len(words) > FIRST_WORDS + LAST_WORDS:
        return words[:FIRST_WORDS] + words[-LAST_WORDS:]
    return words


def normal(text: str) -> str:
    """The same for texts that differ in case, marks and space only."""
    return re.sub(r"\W+", " ", text.lower()).strip()
