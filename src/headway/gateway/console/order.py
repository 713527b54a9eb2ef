"""The waiting requests in their order, kept from one look to the next.

Ranks are computed once for each stay in the queue, and a list that is almost sorted is sorted
quickly, so a look at 10,000 waiting requests costs a few milliseconds. It is taken in slices,
between which the event loop does other things.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping
from operator import itemgetter
from typing import NamedTuple

from headway.core.request import State, Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import INFINITE
from headway.gateway.console.slices import Slices, sliced
from headway.gateway.work.work import Work

Entry = tuple[Tier, float, int, int, Work]
"""Tier, rank, sequence number, ticket, and the request itself. While the ticket stays the same, so
does the rest: leaving the queue raises it."""


class Order(NamedTuple):
    """The waiting requests at one moment."""

    works: list[Work]
    due: int
    """So many are due by the starvation bound, and first, whatever their tier."""
    starts: Mapping[Tier, int]
    """Where each tier begins, of those that are not due."""


class WaitingOrder:
    """The order in which waiting requests start, as far as it is decided by now.

    Those that are due by the starvation bound are first; then it is by tier, and within a tier by
    the policy. Turns of tenants, where fairness is on, are not part of it.

    Args:
        scheduler: has the requests.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._entries: list[Entry] = []
        self._tickets: dict[str, int] = {}
        """The ticket of each request in `_entries`, by its id."""

    async def look(self, works: Collection[Work], now_s: float, slices: Slices) -> Order:
        """All waiting requests in their order; those that pause between two runs are last."""
        place, tickets = self._scheduler.outlook.place, self._tickets
        paused: list[Work] = []
        entries: list[Entry] = []
        for some in sliced(self._entries):
            entries += [entry for entry in some if entry[3] == entry[4].request.ticket]
            await slices.pause()
        if 2 * len(entries) < len(tickets):
            tickets = self._tickets = {entry[4].request.id: entry[3] for entry in entries}
        for several in sliced(list(works)):
            for work in several:
                request = work.request
                if request.backend or tickets.get(request.id) == request.ticket:
                    continue
                if request.state is State.NEW:
                    paused.append(work)
                elif request.state in _WAITS:
                    tickets[request.id] = request.ticket
                    entries.append((*place(request), request.ticket, work))
            await slices.pause()
        entries.sort()  # no two have the same sequence number
        self._entries = entries
        await slices.pause()
        due, others = await self._split(now_s, slices)
        starts = {tier: len(due) + bisect_left(others, tier, key=itemgetter(0)) for tier in Tier}
        return Order([*due, *[entry[4] for entry in others], *paused], len(due), starts)

    async def _split(self, now_s: float, slices: Slices) -> tuple[list[Work], list[Entry]]:
        """Those that are due, the one that was due first in front, and the others."""
        settings = self._scheduler.settings
        bounds = [(of.max_wait_s, of.max_slowdown) for of in map(settings.tier, Tier)]
        if all(bound == (INFINITE, INFINITE) for bound in bounds):
            return [], self._entries
        due: list[Work] = []
        others: list[Entry] = []
        for some in sliced(self._entries):
            due += [entry[4] for entry in some if entry[4].request.due_s <= now_s]
            others += [entry for entry in some if entry[4].request.due_s > now_s]
            await slices.pause()
        due.sort(key=_due)
        return due, others


_WAITS = (State.WAITING, State.PREEMPTED)


def _due(work: Work) -> tuple[float, int]:
    return work.request.due_s, work.request.sequence
