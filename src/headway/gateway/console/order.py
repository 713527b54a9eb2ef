"""The waiting requests in their order, kept from one look to the next.

Ranks are computed once for each stay in the queue, and a list that is almost sorted is sorted
quickly, so a look at 10,000 waiting requests costs a few milliseconds. It is taken in slices,
between which the event loop does other things.
"""

from __future__ import annotations

from collections.abc import Iterable

from headway.core.request import State, Tier
from headway.core.scheduler import Scheduler
from headway.gateway.console.slices import Slices
from headway.gateway.work.work import Work

SLICE = 1000
"""Requests that are looked at without a pause."""

Entry = tuple[Tier, float, int, int, Work]
"""Tier, rank, sequence number, ticket, and the request itself."""


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

    async def look(self, works: Iterable[Work], now_s: float, slices: Slices) -> list[Work]:
        """All waiting requests in their order; those that pause between two runs are last."""
        place, tickets = self._scheduler.outlook.place, self._tickets
        paused: list[Work] = []
        found: list[Entry] = []
        for number, work in enumerate(list(works)):
            if number % SLICE == SLICE - 1:
                await slices.pause()
            request = work.request
            if request.state is State.WAITING or request.state is State.PREEMPTED:
                if tickets.get(request.id) != request.ticket:
                    tickets[request.id] = request.ticket
                    found.append((*place(request), request.ticket, work))
            elif request.state is State.NEW:
                paused.append(work)
        entries = [entry for entry in self._entries if _waits(entry)]
        if len(entries) < len(self._entries):
            self._forget_all_but(entries, found)
        entries += [entry for entry in found if _waits(entry)]
        entries.sort()  # no two have the same sequence number
        self._entries = entries
        await slices.pause()
        due: list[Work] = []
        others: list[Work] = []
        for entry in entries:
            work = entry[4]
            (due if work.request.due_s <= now_s else others).append(work)
        due.sort(key=_due)
        return [*due, *others, *paused]

    def _forget_all_but(self, *kept: list[Entry]) -> None:
        self._tickets = {entry[4].request.id: entry[3] for entries in kept for entry in entries}


def _waits(entry: Entry) -> bool:
    """Whether the request has kept its place: leaving the queue raises its ticket."""
    return entry[3] == entry[4].request.ticket


def _due(work: Work) -> tuple[float, int]:
    return work.request.due_s, work.request.sequence
