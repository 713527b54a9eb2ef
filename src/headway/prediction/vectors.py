"""What words mean: static vectors, distilled from a sentence encoder (`training/vectors.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from io import BytesIO

import numpy as np

from headway.prediction.arrays import Floats

HEAD_WORDS = 12
"""The words that a prompt begins with, averaged apart: as a rule they say what to do."""


class WordVectors:
    """A vector for each of some 20,000 English words, pieces of code and marks.

    Args:
        words: all different.
        vectors: (words, dimensions), frequent words shorter than rare ones.
    """

    def __init__(self, words: Sequence[str], vectors: np.ndarray) -> None:
        self._index = {word: number for number, word in enumerate(words)}
        # The last row stands for no word at all.
        self._vectors = np.vstack([vectors, np.zeros((1, vectors.shape[1]))]).astype(np.float32)
        self.dimensions = vectors.shape[1]

    def means(self, texts: Sequence[Sequence[str]]) -> Floats:
        """(texts, 2 * dimensions): directions of the mean of all words, and of the first few."""
        get, nothing = self._index.get, len(self._index)
        ids: list[int] = []
        starts: list[int] = []
        for words in texts:
            known = [number for word in words if (number := get(word)) is not None] or [nothing]
            head = known[:HEAD_WORDS]
            starts += [len(ids), len(ids) + len(known)]
            ids += known
            ids += head
        sums = np.add.reduceat(self._vectors[ids], starts, axis=0)
        norms = np.sqrt(np.einsum("ij,ij->i", sums, sums))
        means: Floats = (sums / (norms + 1e-6)[:, None]).reshape(len(texts), -1)
        return means


@cache
def shipped_vectors() -> WordVectors:
    """The vectors that come with the package."""
    data = files("headway.prediction").joinpath("data/vectors.npz").read_bytes()
    with np.load(BytesIO(data), allow_pickle=False) as arrays:
        words = bytes(arrays["words"]).decode().split("\n")
        return WordVectors(words, arrays["vectors"] * arrays["scale"])
