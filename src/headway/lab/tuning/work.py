"""Batches to measure a model with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from headway.models.signature import Signature
from headway.models.tokens import Tokens

WORDS = "the model answers many short questions at once and then it rests for a while"
"""The word of generated texts: the time of a batch depends on their lengths only."""


class Work(Protocol):
    """Makes batches."""

    def batch(self, size: int, length: int) -> list[Any]:
        """`size` items, the longest of `length`."""
        ...


class MadeTexts:
    """Token ids of any length.

    Args:
        signature: of a model that takes texts.
        ids: token ids of a text, those around it included.
    """

    def __init__(self, signature: Signature, ids: np.ndarray) -> None:
        self._pairs = signature.task == "rerank"
        self._ids = ids

    @classmethod
    async def of(cls, signature: Signature, tokens: Tokens) -> MadeTexts:
        """For the model of that signature."""
        (made,) = await tokens.of_texts([WORDS], None)
        return cls(signature, made if made.ndim == 1 else made[0])

    def batch(self, size: int, length: int) -> list[Any]:
        inner = np.resize(self._ids[1:-1], max(0, length - 2))
        one = np.concatenate([self._ids[:1], inner, self._ids[-1:]])[: max(1, length)]
        one = np.ascontiguousarray(one, np.int32)
        return [np.stack([one, np.zeros_like(one)]) if self._pairs else one] * size


class GivenItems:
    """Items from the operator: the longest that are not longer than asked for.

    Args:
        items: at least one.
        lengths: of each.
    """

    def __init__(self, items: Sequence[Any], lengths: Sequence[int]) -> None:
        self._items = items
        self._lengths = np.array(lengths)

    def batch(self, size: int, length: int) -> list[Any]:
        (fitting,) = np.nonzero(self._lengths <= length)
        longest = fitting[np.argsort(-self._lengths[fitting], kind="stable")]
        return [self._items[place] for place in np.resize(longest[:size], size).tolist()]
