"""Which tenant is served next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from math import ceil
from typing import Protocol

from headway.core.settings import SchedulerSettings

PROMPT_WEIGHT = 1.0
OUTPUT_WEIGHT = 2.0
"""Cost of a prompt and of an output token, as in VTC's evaluation (Sheng et al. 2024)."""

QUANTUM_TOKENS = 512.0
"""Service that deficit round robin adds to a tenant a round."""


class TenantTurn(Protocol):
    """The tenants that have requests waiting in one tier of one lane."""

    def activate(self, tenant: str) -> None:
        """`tenant` has somebody waiting here again."""
        ...

    def next(self, eligible: Callable[[str], bool]) -> str | None:
        """Whose turn it is among the eligible, or None. Tenants that wait no more are dropped."""
        ...


class Fairness(Protocol):
    """Service given to each tenant, over all tiers and lanes."""

    def turn(self, has_waiting: Callable[[str], bool]) -> TenantTurn:
        """A new order of tenants, for one tier of one lane."""
        ...

    def backlogged(self, tenant: str) -> None:
        """`tenant` had nothing waiting anywhere and now has."""
        ...

    def drained(self, tenant: str) -> None:
        """`tenant` has nothing waiting any more."""
        ...

    def charge(self, tenant: str, weighted_tokens: float) -> None:
        """`tenant` was given that much service."""
        ...

    def owes_more(self, one: str, other: str) -> bool:
        """Whether more service is owed to tenant `one` than to `other`."""
        ...


class VirtualTokenCounter:
    """The waiting tenant with the least counter goes first; its counter grows with its service.

    A tenant that comes back is lifted to the least counter among those that wait, so idle time
    earns no credit. Between two tenants that wait all along the service differs by at most
    2 max(w_p L_in, w_q M). Source: Sheng et al., OSDI 2024.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self.counter: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._last_drained = 0.0
        self._least: list[tuple[float, str]] = []

    def turn(self, has_waiting: Callable[[str], bool]) -> TenantTurn:
        return LeastCounterFirst(self.counter, has_waiting)

    def backlogged(self, tenant: str) -> None:
        floor = self._last_drained
        while self._least:
            counter, other = self._least[0]
            if other not in self._waiting:
                heappop(self._least)
            elif counter < self.counter[other]:
                heappop(self._least)
                heappush(self._least, (self.counter[other], other))
            else:
                floor = counter
                break
        self.counter[tenant] = max(self.counter.get(tenant, 0.0), floor)
        self._waiting.add(tenant)
        heappush(self._least, (self.counter[tenant], tenant))

    def drained(self, tenant: str) -> None:
        self._waiting.discard(tenant)
        self._last_drained = self.counter[tenant]

    def charge(self, tenant: str, weighted_tokens: float) -> None:
        self.counter[tenant] += weighted_tokens / self._weights.get(tenant, 1.0)

    def owes_more(self, one: str, other: str) -> bool:
        return self.counter[one] < self.counter[other]


class LeastCounterFirst:
    """Tenants by counter. Counters only grow, so a stale entry is found and moved when on top."""

    def __init__(self, counter: Mapping[str, float], has_waiting: Callable[[str], bool]) -> None:
        self._counter = counter
        self._has_waiting = has_waiting
        self._entries: list[tuple[float, str]] = []
        self._active: set[str] = set()

    def activate(self, tenant: str) -> None:
        if tenant not in self._active:
            self._active.add(tenant)
            heappush(self._entries, (self._counter[tenant], tenant))

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
    """Tenants in turn, each up to its deficit, which grows by a quantum a round.

    Output lengths are not known beforehand, so service is charged as it is given and a deficit
    may go below zero: the tenant then sits out rounds until it is repaid.
    Source: Shreedhar and Varghese 1995.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self.deficit: dict[str, float] = {}

    def turn(self, has_waiting: Callable[[str], bool]) -> TenantTurn:
        return RoundRobin(self.deficit, self._weights, has_waiting)

    def backlogged(self, tenant: str) -> None:
        self.deficit[tenant] = min(self.deficit.get(tenant, 0.0), 0.0)

    def drained(self, tenant: str) -> None:
        pass

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

    def activate(self, tenant: str) -> None:
        if tenant not in self._active:
            self._active.add(tenant)
            self._ring.append(tenant)

    def next(self, eligible: Callable[[str], bool]) -> str | None:
        # A tenant that is passed over goes to the end of the ring. Once round, that is paid for by
        # a quantum for each: what a step costs on average does not grow with the tenants.
        chosen = self._first_in_credit(eligible)
        if chosen is None:
            able = [tenant for tenant in self._ring if eligible(tenant)]
            if able:
                # As many whole rounds at once as the one that needs fewest.
                rounds = min(ceil((1.0 - self._deficit[t]) / self._quantum(t)) for t in able)
                for tenant in able:
                    self._deficit[tenant] += rounds * self._quantum(tenant)
                chosen = self._first_in_credit(eligible)
        return chosen

    def _first_in_credit(self, eligible: Callable[[str], bool]) -> str | None:
        """The first such tenant, brought to the front of the ring; None after a whole round."""
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
