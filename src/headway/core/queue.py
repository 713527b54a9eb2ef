"""Waiting requests in order of rank, with cancellation in O(1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Protocol

from headway.core.request import Request

Ranked = tuple[float, Request]
"""A waiting request and the rank that it has in its queue now."""


class WaitingQueue(Protocol):
    """The waiting requests of one tenant, in a policy's order.

    No request is ever searched for. The caller removes one (to run or cancel it) by raising its
    `ticket`, which kills its entry; dead entries are dropped when they reach the top, or all at
    once when they outnumber the live ones.
    """

    def push(self, request: Request) -> None:
        """Add `request` under its present rank and ticket."""
        ...

    def peek(self, now_s: float) -> Request | None:
        """The live request to run next, or None."""
        ...

    def entry_died(self) -> None:
        """The ticket of one entry was raised."""
        ...

    def first(self, most: int, now_s: float) -> list[Ranked]:
        """At most `most` live requests: those to run next, in order."""
        ...

    def sample(self, most: int) -> Iterator[Request]:
        """At most `most` live requests, spread evenly over the entries; always the same."""
        ...

    def __len__(self) -> int:
        """Number of live requests."""
        ...


class TierQueue(Protocol):
    """The waiting requests of one tier of one lane."""

    waiting: int
    """Number of requests."""

    def push(self, request: Request) -> None:
        """Add `request` in its place."""
        ...

    def removed(self, request: Request) -> None:
        """The ticket of `request` was raised."""
        ...

    def peek(self, now_s: float, tenant_ok: Callable[[str], bool] | None) -> Request | None:
        """The next request of a tenant with `tenant_ok`; None allows all tenants."""
        ...

    def first(
        self, most: int, now_s: float, tenant_ok: Callable[[str], bool] | None
    ) -> list[Ranked]:
        """At most `most` requests to run next, in order, beginning with that of `peek`. Where the
        second depends on what the first one is charged, or on caps, only the first."""
        ...

    def first_of(self, tenant: str, now_s: float) -> Request | None:
        """The next request of `tenant`; only for tenants with caps."""
        ...

    def sample(self, most: int) -> Iterable[Request]:
        """At most about twice `most` waiting requests, spread evenly."""
        ...


class RankHeap:
    """A binary heap by rank, which must not change while a request waits. Ties: by arrival."""

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
        """Rank and sequence number of the next request; None if there is none."""
        return None if self.peek(now_s) is None else self._entries[0][:2]

    def first(self, most: int, now_s: float) -> list[Ranked]:
        # An entry can only come after its parent in the heap: look at children of those passed.
        entries, found = self._entries, list[Ranked]()
        open_entries = [(entries[0], 0)] if self.peek(now_s) is not None else []
        while open_entries and len(found) < most:
            entry, place = heappop(open_entries)
            if _lives(entry):
                found.append((entry[0], entry[3]))
            for child in (2 * place + 1, 2 * place + 2):
                if child < len(entries):
                    heappush(open_entries, (entries[child], child))
        return found

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
