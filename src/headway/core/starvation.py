"""The starvation bound: from its due time on, a request is next."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from headway.core.request import Request
from headway.core.settings import INFINITE, TierSettings


def due_s(request: Request, tier: TierSettings) -> float:
    """When `request` becomes due by its `tier`'s `max_wait_s` or `max_slowdown`, the first of both.

    A wait of (max_slowdown - 1) service times makes the latency max_slowdown service times.
    """
    slack_s = INFINITE
    if tier.max_slowdown < INFINITE:
        slack_s = (tier.max_slowdown - 1.0) * request.service_s
    return request.arrival_s + min(tier.max_wait_s, slack_s)


class DueQueue:
    """The waiting requests of one lane by due time, those that never are due left out.

    The bound that follows: once a request is due, only requests that were due before it can
    start before it. So it waits on for the work that was due earlier and for one slot, however
    many shorter, higher or richer requests arrive.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, int, Request]] = []

    def push(self, request: Request) -> None:
        """Add `request` under its `due_s` and present ticket."""
        if request.due_s < INFINITE:
            heappush(self._entries, (request.due_s, request.sequence, request.ticket, request))

    def peek(self) -> Request | None:
        """The live request that is due first, or None."""
        entries = self._entries
        while entries:
            entry = entries[0]
            if entry[2] == entry[3].ticket:
                return entry[3]
            heappop(entries)
        return None

    def due(self, now_s: float) -> list[Request]:
        """All live requests whose due time has come, the earliest first; they stay."""
        if self.peek() is None or self._entries[0][0] > now_s:
            return []
        found = [e for e in self._entries if e[0] <= now_s and e[2] == e[3].ticket]
        return [entry[3] for entry in sorted(found)]

    def compact(self, live: int) -> None:
        """Drop dead entries where they outnumber the `live` ones."""
        if len(self._entries) > 2 * live + 64:
            self._entries = [entry for entry in self._entries if entry[2] == entry[3].ticket]
            heapify(self._entries)
