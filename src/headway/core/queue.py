"""Waiting requests in the order of their rank, with cancellation in O(1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Protocol

from headway.core.request import Request


class WaitingQueue(Protocol):
    """What a policy keeps the waiting requests of one tenant in.

    Nothing is ever searched for: taking a request out (to run it, or because it was cancelled)
    raises its `ticket`, which kills its entry here; dead entries are dropped when they surface,
    or all at once when they outnumber the live ones.
    """

    def push(self, request: Request) -> None:
        """Add `request` under its present rank and ticket."""
        ...

    def peek(self, now_s: float) -> Request | None:
        """The live request that runs next, or None."""
        ...

    def entry_died(self) -> None:
        """One of the entries was killed by its ticket."""
        ...

    def sample(self, most: int) -> Iterator[Request]:
        """At most `most` live requests, evenly spread over the entries; the same every time."""
        ...

    def __len__(self) -> int:
        """Live requests."""
        ...


class TierQueue(Protocol):
    """The waiting requests of one tier of one lane."""

    waiting: int
    """How many there are."""

    def push(self, request: Request) -> None:
        """Add `request` in its place."""
        ...

    def removed(self, request: Request) -> None:
        """`request` was taken out by its ticket."""
        ...

    def peek(self, now_s: float, tenant_ok: Callable[[str], bool] | None) -> Request | None:
        """The request that is next among the tenants that may run one more; None: all may."""
        ...

    def first_of(self, tenant: str, now_s: float) -> Request | None:
        """The request of `tenant` that is next; asked only where tenants have caps."""
        ...

    def sample(self, most: int) -> Iterable[Request]:
        """At most about twice `most` waiting requests, spread evenly."""
        ...


class RankHeap:
    """A binary heap on a rank that does not change while a request waits. Ties: by arrival."""

    __slots__ = ("_entries", "_live", "_rank")

    def __init__(self, rank: Callable[[Request], float]) -> None:
        self._rank = rank
        self._entries: list[tuple[float, int, int, Request]] = []
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def push(self, request: Request) -> None:
        heappush(self._entries, (self._rank(request), request.sequence, request.ticket, request))
        self._live += 1

    def peek(self, now_s: float) -> Request | None:
        entries = self._entries
        while entries:
            entry = entries[0]
            if entry[2] == entry[3].ticket:
                return entry[3]
            heappop(entries)
        return None

    def first_key(self, now_s: float) -> tuple[float, int] | None:
        """Rank and sequence number of the one that is next; None if nobody waits."""
        return None if self.peek(now_s) is None else self._entries[0][:2]

    def entry_died(self) -> None:
        self._live -= 1
        if len(self._entries) > 2 * self._live + 64:
            self._entries = [entry for entry in self._entries if _lives(entry)]
            heapify(self._entries)

    def sample(self, most: int) -> Iterator[Request]:
        stride = max(1, len(self._entries) // most)
        for index in range(0, len(self._entries), stride):
            entry = self._entries[index]
            if _lives(entry):
                yield entry[3]


def _lives(entry: tuple[float, int, int, Request]) -> bool:
    return entry[2] == entry[3].ticket
