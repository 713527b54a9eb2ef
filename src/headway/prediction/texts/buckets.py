"""Counts of hashed words and word pairs: the input of the ridge regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headway.prediction.arrays import Floats

_BITS = 17
BUCKETS = 1 << _BITS
"""Number of hash buckets."""

_MIX, _SHIFT = np.uint64(0x9E3779B1), np.uint64(0x7F4A7C15)


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets of the words and word pairs of several texts, with counts."""

    texts: int
    row: np.ndarray
    """The text of each entry."""
    column: np.ndarray
    """The bucket of each entry, increasing within a text."""
    count: np.ndarray
    weight: Floats
    """1 + log(count)."""

    @classmethod
    def counted(cls, texts: int, row: np.ndarray, bucket: np.ndarray) -> Buckets:
        """From the text and bucket of each word and pair, in any order."""
        keys = (row << _BITS) | bucket
        if texts <= 1 << (31 - _BITS):  # sorts in half the time
            keys = keys.astype(np.int32)
        keys, count = np.unique(keys, return_counts=True)
        weight = (1.0 + np.log(count)).astype(np.float32)
        return cls(texts, keys >> _BITS, keys & (BUCKETS - 1), count, weight)

    @classmethod
    def hashed(cls, texts: int, row: np.ndarray, hashes: np.ndarray) -> Buckets:
        """From every word and every pair of neighbours in a text.

        Args:
            texts: number of texts.
            row: the text of each word, in order.
            hashes: of each word, as unsigned 64-bit integers.
        """
        first = np.flatnonzero(row[:-1] == row[1:])
        # Mixing two hashes takes a fraction of the time of hashing the text of the pair.
        pairs = (hashes[first] * _MIX) ^ (hashes[first + 1] + _SHIFT)
        bucket = np.concatenate([hashes, pairs]) & np.uint64(BUCKETS - 1)
        return cls.counted(texts, np.concatenate([row, row[first]]), bucket.astype(np.int64))

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]]) -> Buckets:
        """From the buckets of each text, with repetitions."""
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        flat = np.fromiter((one for text in texts for one in text), np.int64, int(lengths.sum()))
        return cls.counted(len(texts), np.repeat(np.arange(len(texts)), lengths), flat)

    @classmethod
    def joined(cls, parts: Sequence[Buckets]) -> Buckets:
        """All `parts`, concatenated."""
        before = np.cumsum([0, *(part.texts for part in parts)])
        return cls(
            int(before[-1]),
            np.concatenate([part.row + begin for part, begin in zip(parts, before, strict=False)]),
            np.concatenate([part.column for part in parts]),
            np.concatenate([part.count for part in parts]),
            np.concatenate([part.weight for part in parts]),
        )

    def rows(self, chosen: np.ndarray) -> Buckets:
        """The buckets of the texts with these numbers, given in increasing order."""
        renumbered = np.full(self.texts, -1, np.int64)
        renumbered[chosen] = np.arange(len(chosen))
        row = renumbered[self.row]
        kept = row >= 0
        return Buckets(
            len(chosen), row[kept], self.column[kept], self.count[kept], self.weight[kept]
        )

    def lists(self) -> list[list[int]]:
        """The buckets of each text, with repetitions, in increasing order."""
        all_of_them = np.repeat(self.column, self.count)
        lengths = np.bincount(self.row, self.count, minlength=self.texts).astype(np.int64)
        return [part.tolist() for part in np.split(all_of_them, np.cumsum(lengths))][:-1]
