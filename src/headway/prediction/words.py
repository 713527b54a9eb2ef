"""Text as words, and words and pairs of them as numbers."""

from __future__ import annotations

import re
from itertools import pairwise
from zlib import crc32

BUCKETS = 1 << 17
"""Of hashed words and pairs of words."""

FIRST_WORDS = 192
LAST_WORDS = 64
"""How much of a long text is looked at: what is asked stands at its beginning or its end."""

_WORD = re.compile(r"[^\W_]+|[^\w\s]")


def looked_at(text: str) -> str:
    """What `words_of` looks at of `text`: the middle of a long one is left out."""
    # Eight characters a word are more than any language of words has on average.
    if len(text) > 8 * (FIRST_WORDS + LAST_WORDS):
        return text[: 8 * FIRST_WORDS] + "\n" + text[-8 * LAST_WORDS :]
    return text


def words_of(text: str) -> list[str]:
    """Words and punctuation marks in lower case; the middle of a long text is left out."""
    words = _WORD.findall(looked_at(text).lower())
    if len(words) > FIRST_WORDS + LAST_WORDS:
        del words[FIRST_WORDS:-LAST_WORDS]
    return words


def normal(text: str) -> str:
    """The same for texts that differ in case, marks and space only."""
    return re.sub(r"\W+", " ", text.lower()).strip()


def hashed_pairs(words: list[str]) -> list[int]:
    """Buckets of every word and of every two that follow each other, with repetitions."""
    hashes = [crc32(word.encode("utf-8", "surrogatepass")) for word in words]
    buckets = [one % BUCKETS for one in hashes]
    # A pair is mixed from the two hashes: a third of the time that hashing its text takes.
    buckets += [
        ((one * 0x9E3779B1) ^ (two + 0x7F4A7C15)) % BUCKETS for one, two in pairwise(hashes)
    ]
    return buckets
