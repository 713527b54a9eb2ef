"""What is left of batches that failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from headway.core.request import Request, Tier


class Retries:
    """Halves of batches that failed, to be launched as they are, the first of them first."""

    def __init__(self) -> None:
        self._halves: deque[list[Request]] = deque()
        self._ids: set[str] = set()

    def __len__(self) -> int:
        """Items in all halves."""
        return len(self._ids)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._ids

    @property
    def tier(self) -> Tier:
        """The highest tier of the next half."""
        return min(request.tier for request in self._halves[0])

    def bisect(self, requests: Sequence[Request]) -> None:
        """Cut a batch of at least two in halves, which come before all that are here.

        The first half first: whoever waits longest is answered first.
        """
        middle = (len(requests) + 1) // 2
        self._halves.extendleft([list(requests[middle:]), list(requests[:middle])])
        self._ids.update(request.id for request in requests)

    def pop(self) -> list[Request]:
        """Take the next half out."""
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
