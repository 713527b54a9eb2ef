"""Cut waiting items into batches of about equal length, so that little time goes to padding."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

from headway.core.batching.curve import Curve
from headway.core.batching.limits import Limits
from headway.core.request import Request

WINDOW_BATCHES = 1
"""Number of largest batches to consider on each side of the most urgent item: its own batch lies
within, and where the others are cut hardly matters to it."""


class LengthIndex:
    """Waiting items by length, then by arrival."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[tuple[int, int, Request]] = []

    def add(self, request: Request) -> None:
        """Add `request`."""
        insort(self._entries, (request.prompt_tokens, request.sequence, request))

    def remove(self, request: Request) -> None:
        """Remove `request`."""
        del self._entries[self._place(request)]

    def beside(self, request: Request, most: int) -> tuple[list[Request], list[Request]]:
        """Up to `most` shorter items and up to `most` longer ones, both ascending.

        `request` itself need not be in the index.
        """
        place = self._place(request)
        shorter = self._entries[max(0, place - most) : place]
        longer = self._entries[place : place + most]
        return [entry[2] for entry in shorter], [entry[2] for entry in longer]

    def longest_within(self, length: int, most: int) -> list[Request]:
        """Up to `most` items no longer than `length`, the longest first."""
        end = bisect_left(self._entries, (length + 1, 0))
        return [entry[2] for entry in reversed(self._entries[max(0, end - most) : end])]

    def _place(self, request: Request) -> int:
        # Sequence numbers are unique, so requests are never compared.
        return bisect_left(self._entries, (request.prompt_tokens, request.sequence))


def cut(lengths: Sequence[int], most: int, limits: Limits, curve: Curve) -> list[int]:
    """Where to cut items sorted by length, so that all batches together take the least time.

    T[j] = min over k of T[j - k] + C(k, l_j), as the longest of a batch is its last: O(n most).

    Args:
        lengths: ascending, in tokens.
        most: most items in a batch.
        limits: allowed sizes, lengths and memory; every item must fit alone.
        curve: the duration C of a batch by padded size and length.

    Returns:
        The end of every batch, ascending; the last is the number of items.

    Source: Fang et al., "TurboTransformers", PPoPP 2021, algorithm 3.
    """
    most = min(most, limits.largest)
    fixed_s = curve.fixed_s
    padded = [0] + [limits.padded_size(size) for size in range(1, most + 1)]
    best_s = [0.0]
    taken = [0]
    for end, length in enumerate(lengths, 1):
        length = limits.padded_length(length)
        item_s = curve.per_item_s(length)
        room = min(end, most)
        if limits.max_tokens is not None:
            while room > 1 and padded[room] * length > limits.max_tokens:
                room -= 1
        if limits.sizes:
            times = [best_s[end - k] + padded[k] * item_s for k in range(1, room + 1)]
        else:
            # The same without look-ups: this is the inner loop.
            size_s = 0.0
            before_s = best_s[end - room : end]
            before_s.reverse()
            times = [before + (size_s := size_s + item_s) for before in before_s]
        least = min(times)
        best_s.append(least + fixed_s)
        taken.append(times.index(least) + 1)
    ends = []
    end = len(lengths)
    while end:
        ends.append(end)
        end -= taken[end]
    return ends[::-1]


def companions(
    leader: Request, index: LengthIndex, most: int, limits: Limits, curve: Curve
) -> list[Request]:
    """The items to run with `leader`, nearest in length first.

    They are the rest of its batch in the cheapest cut of the waiting items around it.
    """
    shorter, longer = index.beside(leader, WINDOW_BATCHES * most)
    near = [*shorter, leader, *longer]
    ends = cut([request.prompt_tokens for request in near], most, limits, curve)
    place = bisect_right(ends, len(shorter))
    begin = ends[place - 1] if place else 0
    chosen = [request for request in near[begin : ends[place]] if request is not leader]
    chosen.sort(key=lambda request: abs(request.prompt_tokens - leader.prompt_tokens))
    return chosen
