"""The items that wait in order, over all tiers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil

from headway.core.backlog import Backlog
from headway.core.batching.item_queue import ItemQueue
from headway.core.batching.settings import BatchingSettings
from headway.core.fairness import PROMPT_WEIGHT, fairness
from headway.core.policies import POLICIES
from headway.core.request import Request, Tier
from headway.core.tiers import tier_order
from headway.core.waiting import Waiting


class PendingItems:
    """Waiting items in their order, and an ItemQueue for each tier.

    Everything that is kept about waiting items changes here, together: their order, the counts,
    the queues of the tiers, and the tenants' ledger.

    Raises:
        ValueError: on construction, if the settings name no order that exists.
    """

    def __init__(self, settings: BatchingSettings) -> None:
        if settings.order not in POLICIES:
            raise ValueError(
                f"unknown order {settings.order!r}; the orders are {', '.join(POLICIES)}"
            )
        scheduling = settings.scheduling()
        self._tier_order = tier_order(scheduling)
        self._ledger = fairness(scheduling)
        self._backlog = Backlog(self._tier_order, self._ledger)
        policy = POLICIES[settings.order](scheduling)
        self._order = Waiting(policy, self._tier_order, self._ledger, by_tenant=False)
        self.queues = {
            tier: ItemQueue(tier, settings.tiers[tier], settings.limits, settings.length_aware)
            for tier in Tier
        }

    def __len__(self) -> int:
        return self._backlog.requests

    @property
    def batches(self) -> int:
        """How many batches the waiting items make, where each is as large as it may be."""
        return sum(ceil(queue.waiting / queue.most) for queue in self.queues.values())

    def in_tier(self, tier: Tier) -> int:
        """Number of items that wait in `tier`."""
        return self._backlog.in_tier(tier)

    def next(self, now_s: float, tier_ok: Callable[[Tier], bool]) -> Request | None:
        """The item that is first in order among the tiers that `tier_ok` accepts."""
        return self._order.next(now_s, tier_ok, None)

    def add(self, request: Request) -> None:
        """`request` begins to wait."""
        self._backlog.began(request)
        self.put_back(request)

    def remove(self, request: Request) -> None:
        """`request` no longer waits, and will not run."""
        self.set_aside(request)
        self._backlog.ended(request)
        self.settled((request,))

    def take(self, request: Request) -> None:
        """`request` no longer waits because it runs: charge its tier and tenant for it.

        Call `settled` when its whole batch was taken.
        """
        self.set_aside(request)
        self._backlog.ended(request)
        self._tier_order.served(request.tier, request.service_s)
        if self._ledger is not None:
            self._ledger.charge(request.tenant, PROMPT_WEIGHT * request.prompt_tokens)

    def settled(self, requests: Iterable[Request]) -> None:
        """All of `requests` are charged; their tenants depart if nothing else of them waits."""
        if self._ledger is None:
            return
        for request in requests:
            if not self._backlog.of_tenant(request.tenant):
                self._ledger.departed(request.tenant)

    def set_aside(self, request: Request) -> None:
        """Hide `request` from `next` for a moment; `put_back` must follow."""
        self._order.take(request)
        self.queues[request.tier].remove(request)
        self._backlog.remove(request)

    def put_back(self, request: Request) -> None:
        """Return `request` to its place, by its present rank and times."""
        self._backlog.add(request)
        self._order.push(request)
        self.queues[request.tier].push(request)
