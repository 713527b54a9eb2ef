"""The starvation bound: once a request is due, it is next.

Only requests that were due earlier can start before it (`Waiting.next`). So it waits only for those
and for one slot, however many requests arrive that are shorter, of a higher tier or owed more.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from headway.core.queue import Ranked, RankHeap
from headway.core.request import Request, Tier
from headway.core.settings import INFINITE, TierSettings
from headway.core.tenant_heap import TenantHeap


def due_s(request: Request, tier: TierSettings, duration_s: float) -> float:
    """When `request` is due by the `max_wait_s` or `max_slowdown` of its `tier`, the earlier one.

    A wait of (max_slowdown - 1) times its `duration_s` makes its latency max_slowdown durations.
    """
    slack_s = INFINITE
    if tier.max_slowdown < INFINITE:
        slack_s = (tier.max_slowdown - 1.0) * duration_s
    return request.arrival_s + min(tier.max_wait_s, slack_s)


class DueQueue:
    """The waiting requests that will be due, by due time.

    Each tier has its own heap, and each tenant if tenants have caps: requests of one at its cap are
    skipped without looking at them.
    """

    __slots__ = ("_by_tenant", "_tiers")

    def __init__(self, by_tenant: bool) -> None:
        self._by_tenant = by_tenant
        self._tiers: dict[Tier, RankHeap | TenantHeap] = {}

    def push(self, request: Request) -> None:
        """Add `request`, unless it is never due."""
        if request.due_s < INFINITE:
            heap = self._tiers.get(request.tier)
            if heap is None:
                heap = TenantHeap(_DUE_S) if self._by_tenant else RankHeap(_DUE_S)
                self._tiers[request.tier] = heap
            heap.push(request)

    def removed(self, request: Request) -> None:
        """The ticket of `request` was raised."""
        if request.due_s < INFINITE:
            heap = self._tiers[request.tier]
            if isinstance(heap, TenantHeap):
                heap.removed(request)
            else:
                heap.entry_died()

    def next(
        self,
        now_s: float,
        tier_ok: Callable[[Tier], bool],
        tenant_ok: Callable[[str], bool] | None,
    ) -> Request | None:
        """The request due first, of those due by `now_s` that may run."""
        best: Request | None = None
        for tier, heap in self._tiers.items():
            first = heap.peek(now_s)
            if first is None or first.due_s > now_s or not tier_ok(tier):
                continue
            if tenant_ok is not None and isinstance(heap, TenantHeap):
                first = heap.peek(now_s, tenant_ok)
                if first is None or first.due_s > now_s:
                    continue
            if best is None or (first.due_s, first.sequence) < (best.due_s, best.sequence):
                best = first
        return best

    def first(
        self,
        most: int,
        now_s: float,
        room: dict[Tier, int],
        tenant_ok: Callable[[str], bool] | None,
    ) -> list[Ranked]:
        """At most `most` requests that are due, in order, as many of each tier as it has `room`
        for, which becomes less. With caps of tenants, only the first of each tier."""
        found: list[Ranked] = []
        for tier, heap in self._tiers.items():
            first = heap.peek(now_s)
            if first is None or first.due_s > now_s:
                continue
            if isinstance(heap, TenantHeap):
                found += heap.first(1, now_s, tenant_ok)
            else:
                found += heap.first(min(most, room[tier]), now_s)
        due = [one for one in found if one[0] <= now_s]
        due.sort(key=lambda one: (one[0], one[1].sequence))
        chosen = []
        for due_s, request in due[:most]:
            if room[request.tier] > 0:
                room[request.tier] -= 1
                chosen.append((due_s, request))
        return chosen

    def next_due_s(self, now_s: float) -> float | None:
        """When the first waiting request is due, past or future; None if never."""
        firsts = (heap.peek(now_s) for heap in self._tiers.values())
        return min((first.due_s for first in firsts if first is not None), default=None)


_DUE_S = attrgetter("due_s")
