"""Halves of failed batches that run again, until the item at fault is alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from headway.core.request import Request, Tier

MOST_LOSSES = 2
"""A batch with an item that lost more workers than this is bisected, not run again whole."""


class Retries:
    """Finds the items that fail batches or kill workers, by bisecting."""

    def __init__(self) -> None:
        self._halves: deque[list[Request]] = deque()
        self._ids: set[str] = set()
        self._losses: dict[str, int] = {}
        """By item id, the number of workers that died while they ran it."""

    def __len__(self) -> int:
        """Number of items in all halves."""
        return len(self._ids)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._ids

    @property
    def tier(self) -> Tier | None:
        """The highest tier in the next half; None if there is no half."""
        return min(request.tier for request in self._halves[0]) if self._halves else None

    def bisect(self, requests: Sequence[Request]) -> None:
        """Cut a batch of at least two items in halves, and put both before all other halves.

        The first half goes first, as its items have waited longest.
        """
        middle = (len(requests) + 1) // 2
        self._halves.extendleft([list(requests[middle:]), list(requests[:middle])])
        self._ids.update(request.id for request in requests)

    def pop(self) -> list[Request]:
        """Take out the next half."""
        half = self._halves.popleft()
        self._ids.difference_update(request.id for request in half)
        return half

    def remove(self, request: Request) -> None:
        """Take one item out of its half."""
        self._ids.discard(request.id)
        half = next(half for half in self._halves if request in half)
        half.remove(request)
        if not half:
            self._halves.remove(half)

    def count_loss(self, requests: Sequence[Request]) -> bool:
        """Note that a worker died with `requests`; return whether they must be bisected."""
        for request in requests:
            self._losses[request.id] = self._losses.get(request.id, 0) + 1
        return any(self._losses[request.id] > MOST_LOSSES for request in requests)

    def forget(self, request: Request) -> None:
        """`request` has ended."""
        self._losses.pop(request.id, None)
