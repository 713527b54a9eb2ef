"""A cache of words: everything that features need of a word, as rows of tables."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from itertools import chain
from zlib import crc32

import numpy as np

from headway.prediction.texts.kinds import KINDS, kinds_of, number_named
from headway.prediction.texts.vectors import WordVectors, shipped_vectors
from headway.prediction.texts.words import first_and_last, split_words, without_middle

MOST_WORDS = 1 << 14
"""Size at which the cache is emptied."""

END = ""
"""Follows every text and counts for nothing, so that no text is without a word."""


class Words:
    """The words of several texts in order, with END after each text.

    Args:
        vocabulary: the tables that `numbers` refer to.
        numbers: of the words.
        start: where each text begins.
    """

    def __init__(self, vocabulary: _Tables, numbers: list[int], start: list[int]) -> None:
        self._spelled, self._numbers = vocabulary.spelled, numbers
        found = np.array(numbers)
        self.start = np.array(start)
        self.lengths = np.diff(self.start, append=len(numbers)) - 1
        """Words of each text, without END."""
        self.row = np.repeat(np.arange(len(start)), self.lengths + 1)
        """The text of each word."""
        self.hashes = vocabulary.hashes[found]
        self.kinds = vocabulary.kinds.take(found, axis=0)
        """(words, KINDS)."""
        self.named = vocabulary.named[found]
        """The number that a word means; 0: none."""
        self.vectors = vocabulary.vectors[found]
        """Its row in the word vectors."""

    def after(self, word: int, most: int) -> list[str]:
        """The words of the same text that follow the one at `word`."""
        following = [self._spelled[number] for number in self._numbers[word + 1 : word + 1 + most]]
        return following[: following.index(END)] if END in following else following


class _Tables:
    """Columns of facts about words, by the number of the word; they grow."""

    def __init__(self) -> None:
        self.spelled: list[str] = []
        self.number: dict[str, int] = {}
        self.between_spaces: dict[str, list[int]] = {}
        """Word numbers of each piece between two spaces, such as `end."`."""
        self.hashes = np.zeros(MOST_WORDS, np.uint64)
        self.kinds = np.zeros((MOST_WORDS, len(KINDS)), np.float32)
        self.named = np.zeros(MOST_WORDS, np.int64)
        self.vectors = np.zeros(MOST_WORDS, np.int64)

    def double(self) -> None:
        """Double the room."""
        for name in ("hashes", "kinds", "named", "vectors"):
            table = getattr(self, name)
            setattr(self, name, np.concatenate([table, np.zeros_like(table)]))


class Vocabulary:
    """The cache. Thread-safe.

    Args:
        vectors: where words are looked up.
    """

    def __init__(self, vectors: WordVectors) -> None:
        self._word_vectors = vectors
        self._lock = threading.Lock()
        self._tables = _Tables()

    def words(self, texts: Sequence[str]) -> Words:
        """The words of `texts` with all facts about them."""
        with self._lock:
            tables = self._tables
            if len(tables.between_spaces) > MOST_WORDS or len(tables.spelled) > MOST_WORDS:
                tables = self._tables = _Tables()
            end = self._number_of(END)
            numbers: list[int] = []
            start = []
            for text in texts:
                start.append(len(numbers))
                numbers += first_and_last(self._numbers_of(without_middle(text).lower().split()))
                numbers.append(end)
            return Words(tables, numbers, start)

    def _numbers_of(self, pieces: Sequence[str]) -> list[int]:
        known = self._tables.between_spaces
        try:
            return list(chain.from_iterable(map(known.__getitem__, pieces)))
        except KeyError:
            for piece in pieces:
                if piece not in known:
                    known[piece] = [self._number_of(word) for word in split_words(piece)]
            return self._numbers_of(pieces)

    def _number_of(self, word: str) -> int:
        tables = self._tables
        number = tables.number.get(word)
        if number is None:
            number = tables.number[word] = len(tables.spelled)
            tables.spelled.append(word)
            if number == len(tables.hashes):  # one batch may add many words
                tables.double()
            tables.hashes[number] = crc32(word.encode("utf-8", "surrogatepass"))
            tables.kinds[number] = kinds_of(word)
            tables.named[number] = number_named(word)
            tables.vectors[number] = self._word_vectors.number_of(word)
        return number


@cache
def shipped_vocabulary() -> Vocabulary:
    """The shared cache, over the vectors that come with the package."""
    return Vocabulary(shipped_vectors())
