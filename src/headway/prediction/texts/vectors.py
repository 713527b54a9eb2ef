"""Static word vectors, distilled from a sentence encoder (`training/vectors.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from io import BytesIO

import numpy as np

from headway.prediction.arrays import Floats

HEAD_WORDS = 12
"""The first words of a prompt are also averaged separately: they usually say what to do."""


class WordVectors:
    """Vectors of about 20,000 English words, code fragments and punctuation marks.

    Args:
        words: distinct.
        vectors: (words, dimensions); those of frequent words are shorter.
    """

    def __init__(self, words: Sequence[str], vectors: np.ndarray) -> None:
        self._index = {word: number for number, word in enumerate(words)}
        # The last row is for unknown words.
        self._vectors = np.vstack([vectors, np.zeros((1, vectors.shape[1]))]).astype(np.float32)
        self.dimensions = vectors.shape[1]

    def number_of(self, word: str) -> int:
        """The row of `word`, for `means`; unknown words have the last row, which is zero."""
        return self._index.get(word, len(self._index))

    def means(self, numbers: np.ndarray, row: np.ndarray, start: np.ndarray) -> Floats:
        """(texts, 2 * dimensions): unit vectors of the mean of all words, and of the first words.

        Args:
            numbers: of the words of all texts in order, at least one for each text.
            row: the text of each word.
            start: where each text begins.
        """
        known = numbers < len(self._index)
        so_far = np.cumsum(known)
        rank = so_far - (so_far[start] - known[start])[row]
        # Unknown words add nothing; the first word makes sure that every text has one.
        head = known & (rank <= HEAD_WORDS)
        head[start] = True
        head_start = np.cumsum(head)[start] - 1
        sums = np.hstack(
            [
                np.add.reduceat(self._vectors.take(numbers, axis=0), start, axis=0),
                np.add.reduceat(self._vectors.take(numbers[head], axis=0), head_start, axis=0),
            ]
        ).reshape(len(start), 2, self.dimensions)
        norms = np.sqrt(np.einsum("ijk,ijk->ij", sums, sums))
        means: Floats = (sums / (norms + 1e-6)[:, :, None]).reshape(len(start), -1)
        return means


@cache
def shipped_vectors() -> WordVectors:
    """The vectors that come with the package."""
    data = files("headway.prediction").joinpath("data/vectors.npz").read_bytes()
    with np.load(BytesIO(data), allow_pickle=False) as arrays:
        words = bytes(arrays["words"]).decode().split("\n")
        return WordVectors(words, arrays["vectors"] * arrays["scale"])
