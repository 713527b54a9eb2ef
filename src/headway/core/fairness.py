"""Which tenant is served next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush, heapreplace
from math import ceil
from typing import Protocol

from headway.core.departed import Departed
from headway.core.settings import SchedulerSettings

PROMPT_WEIGHT = 1.0
OUTPUT_WEIGHT = 2.0
"""Weights of a prompt token and an output token, as in VTC's evaluation (Sheng et al. 2024)."""

QUANTUM_TOKENS = 512.0
"""Service that deficit round robin adds to a tenant in each round."""

MOST_DEPARTED = 10_000
"""Number of tenants without requests that are remembered."""


class TenantTurn(Protocol):
    """The tenants with waiting requests in one tier of one lane, and their order."""

    def activate(self, tenant: str) -> None:
        """`tenant` has a waiting request here again."""
        ...

    def next(self, eligible: Callable[[str], bool]) -> str | None:
        """The eligible tenant to serve next, or None. Drops tenants that no longer wait."""
        ...


class Fairness(Protocol):
    """Counts the service given to each tenant, over all tiers and lanes."""

    def turn(self, has_waiting: Callable[[str], bool]) -> TenantTurn:
        """A new order of tenants, for one tier of one lane."""
        ...

    def backlogged(self, tenant: str) -> None:
        """`tenant` had no waiting request anywhere and now has one."""
        ...

    def drained(self, tenant: str) -> None:
        """`tenant` has no waiting request any longer."""
        ...

    def departed(self, tenant: str) -> None:
        """`tenant` has no waiting or running request; it may have departed before."""
        ...

    def charge(self, tenant: str, weighted_tokens: float) -> None:
        """`tenant`, which has a running request, was given that much service."""
        ...

    def owes_more(self, one: str, other: str) -> bool:
        """Whether tenant `one` is owed more service than `other`."""
        ...


class VirtualTokenCounter:
    """The waiting tenant with the least counter goes first; its counter grows with its service.

    A tenant that comes back is lifted to the least counter among the waiting ones, so idle time
    earns no credit. While two tenants both have waiting requests, their service differs by at most
    2 max(w_p L_in, w_q M). Source: Sheng et al., OSDI 2024.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self.counter: dict[str, float] = {}
        """Of the tenants with waiting or running requests."""
        self._departed = Departed(MOST_DEPARTED)
        self._waiting: set[str] = set()
        self._last_drained = 0.0
        self._least: list[tuple[float, str]] = []
        self._in_least: set[str] = set()

    def turn(self, has_waiting: Callable[[str], bool]) -> TenantTurn:
        return LeastCounterFirst(self.counter, has_waiting)

    def backlogged(self, tenant: str) -> None:
        floor = self._floor()
        # A tenant that comes back is lifted to the floor, which never sinks: service up to it makes
        # no difference.
        self._departed.forget_up_to(floor)
        counter = self.counter.get(tenant)
        if counter is None:
            counter = self._departed.came_back(tenant)
        self.counter[tenant] = max(counter, floor)
        self._waiting.add(tenant)
        if tenant not in self._in_least:
            self._in_least.add(tenant)
            heappush(self._least, (self.counter[tenant], tenant))
            if len(self._least) > 2 * len(self._waiting) + 64:
                self._in_least = set(self._waiting)
                self._least = [(self.counter[waits], waits) for waits in self._waiting]
                heapify(self._least)

    def _floor(self) -> float:
        """The least counter of the waiting tenants, or of the last one that waited."""
        while self._least:
            counter, tenant = self._least[0]
            if tenant not in self._waiting:
                heappop(self._least)
                self._in_least.discard(tenant)
            elif counter < self.counter[tenant]:
                heapreplace(self._least, (self.counter[tenant], tenant))
            else:
                return counter
        return self._last_drained

    def drained(self, tenant: str) -> None:
        self._waiting.discard(tenant)
        self._last_drained = self.counter[tenant]

    def departed(self, tenant: str) -> None:
        counter = self.counter.pop(tenant, None)
        if counter is not None:
            self._departed.left(tenant, counter)

    def charge(self, tenant: str, weighted_tokens: float) -> None:
        self.counter[tenant] += weighted_tokens / self._weights.get(tenant, 1.0)

    def owes_more(self, one: str, other: str) -> bool:
        return self.counter[one] < self.counter[other]


class LeastCounterFirst:
    """Tenants by counter. Counters only grow, so stale entries move when they reach the top."""

    def __init__(self, counter: Mapping[str, float], has_waiting: Callable[[str], bool]) -> None:
        self._counter = counter
        self._has_waiting = has_waiting
        self._entries: list[tuple[float, str]] = []
        self._active: set[str] = set()
        self._clean_at = 64
        """At this number of entries, tenants that no longer wait are dropped."""

    def activate(self, tenant: str) -> None:
        if tenant not in self._active:
            self._active.add(tenant)
            heappush(self._entries, (self._counter[tenant], tenant))
            if len(self._entries) > self._clean_at:
                self._entries = [one for one in self._entries if self._has_waiting(one[1])]
                heapify(self._entries)
                self._active = {one for _, one in self._entries}
                self._clean_at = 2 * len(self._entries) + 64

    def next(self, eligible: Callable[[str], bool]) -> str | None:
        passed: list[tuple[float, str]] = []
        chosen = None
        while self._entries:
            counter, tenant = self._entries[0]
            if not self._has_waiting(tenant):
                heappop(self._entries)
                self._active.discard(tenant)
            elif counter < self._counter[tenant]:
                heappop(self._entries)
                heappush(self._entries, (self._counter[tenant], tenant))
            elif not eligible(tenant):
                passed.append(heappop(self._entries))
            else:
                chosen = tenant
                break
        for entry in passed:
            heappush(self._entries, entry)
        return chosen


class DeficitRoundRobin:
    """Serves tenants in turn, each up to its deficit, which grows by a quantum per round.

    Output lengths are unknown beforehand, so tenants are charged as they are served and a deficit
    may fall below zero: the tenant then skips rounds until it has repaid.
    Source: Shreedhar and Varghese 1995.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self.deficit: dict[str, float] = {}
        """Of the tenants with waiting or running requests."""
        self._departed = Departed(MOST_DEPARTED)

    def turn(self, has_waiting: Callable[[str], bool]) -> TenantTurn:
        return RoundRobin(self.deficit, self._weights, has_waiting)

    def backlogged(self, tenant: str) -> None:
        deficit = self.deficit.get(tenant)
        if deficit is None:
            deficit = -self._departed.came_back(tenant)
        self.deficit[tenant] = min(deficit, 0.0)

    def drained(self, tenant: str) -> None:
        pass

    def departed(self, tenant: str) -> None:
        deficit = self.deficit.pop(tenant, 0.0)
        if deficit < 0.0:
            self._departed.left(tenant, -deficit)

    def charge(self, tenant: str, weighted_tokens: float) -> None:
        self.deficit[tenant] -= weighted_tokens

    def owes_more(self, one: str, other: str) -> bool:
        return self.deficit[one] > self.deficit[other]


class RoundRobin:
    """The ring of tenants of deficit round robin."""

    def __init__(
        self,
        deficit: dict[str, float],
        weights: Mapping[str, float],
        has_waiting: Callable[[str], bool],
    ) -> None:
        self._deficit = deficit
        self._weights = weights
        self._has_waiting = has_waiting
        self._ring: deque[str] = deque()
        self._active: set[str] = set()
        self._clean_at = 64
        """At this size of the ring, tenants that no longer wait are dropped."""

    def activate(self, tenant: str) -> None:
        if tenant not in self._active:
            self._active.add(tenant)
            self._ring.append(tenant)
            if len(self._ring) > self._clean_at:
                self._ring = deque(filter(self._has_waiting, self._ring))
                self._active = set(self._ring)
                self._clean_at = 2 * len(self._ring) + 64

    def next(self, eligible: Callable[[str], bool]) -> str | None:
        # A skipped tenant moves to the end of the ring. Each round also adds a quantum for each, so
        # the average cost of a step does not grow with the number of tenants.
        chosen = self._first_in_credit(eligible)
        if chosen is None:
            able = [tenant for tenant in self._ring if eligible(tenant)]
            if able:
                # As many whole rounds at once as the tenant that needs fewest.
                rounds = min(ceil((1.0 - self._deficit[t]) / self._quantum(t)) for t in able)
                for tenant in able:
                    self._deficit[tenant] += rounds * self._quantum(tenant)
                chosen = self._first_in_credit(eligible)
        return chosen

    def _first_in_credit(self, eligible: Callable[[str], bool]) -> str | None:
        """Bring the first eligible tenant in credit to the front and return it; None if none is."""
        ring = self._ring
        for _ in range(len(ring)):
            tenant = ring[0]
            if not self._has_waiting(tenant):
                ring.popleft()
                self._active.discard(tenant)
            elif self._deficit[tenant] > 0.0 and eligible(tenant):
                return tenant
            else:
                ring.rotate(-1)
        return None

    def _quantum(self, tenant: str) -> float:
        return QUANTUM_TOKENS * self._weights.get(tenant, 1.0)


def fairness(settings: SchedulerSettings) -> Fairness | None:
    """The ledger that `settings.fairness` names; None for off."""
    if settings.fairness == "vtc":
        return VirtualTokenCounter(settings.tenant_weights)
    if settings.fairness == "drr":
        return DeficitRoundRobin(settings.tenant_weights)
    return None
