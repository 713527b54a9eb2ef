"""Which prompts an engine has computed lately: what its prefix cache holds, as far as we know."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

REMEMBERED = 64
"""Prompts. More than an engine with the usual number of slots keeps."""


class ComputedPrompts:
    """The newest prompts, each as far as it was computed."""

    def __init__(self) -> None:
        self._ids: OrderedDict[int, Sequence[int]] = OrderedDict()
        """By the object that holds the ids: a prompt that grows replaces itself."""

    def add(self, ids: Sequence[int], owner: object) -> None:
        """`ids` were computed for `owner`, whose earlier ones they replace."""
        self._ids[id(owner)] = ids
        self._ids.move_to_end(id(owner))
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)

    def shared(self, ids: Sequence[int]) -> int:
        """How many of `ids`, from their beginning, are computed."""
        return max((_common(known, ids) for known in self._ids.values()), default=0)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the longest common prefix, by comparing slices: a loop would be far slower."""
    low, high = 0, min(len(one), len(other))
    if not high or one[0] != other[0]:
        return 0
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
