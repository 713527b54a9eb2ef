"""Everybody who waits, lane by lane."""

from __future__ import annotations

from operator import attrgetter

from headway.core.backlog import Backlog
from headway.core.fairness import Fairness
from headway.core.policies.policy import Policy
from headway.core.queue import RankHeap
from headway.core.request import Request
from headway.core.tiers import TierOrder
from headway.core.waiting import Waiting


class Lanes:
    """The waiting requests of every lane, what all of them add up to, and the first deadline.

    Args:
        policy: what each lane is ordered by.
        tier_order: which tier is next; told who waits.
        ledger: which tenant is next; told who waits. None: it does not matter.
        by_tenant: whether tenants have queues of their own even without a ledger.
    """

    __slots__ = (
        "_by_tenant",
        "_ledger",
        "_policy",
        "_tier_order",
        "backlog",
        "deadlines",
        "queues",
    )

    def __init__(
        self, policy: Policy, tier_order: TierOrder, ledger: Fairness | None, by_tenant: bool
    ) -> None:
        self._policy = policy
        self._tier_order = tier_order
        self._ledger = ledger
        self._by_tenant = by_tenant
        self.queues: dict[str, Waiting] = {}
        """By lane; somebody waited in each of them once."""
        self.backlog = Backlog(tier_order, ledger)
        self.deadlines = RankHeap(attrgetter("latest_start_s"))
        """Requests that are given up when they have not started by then."""

    def use(self, policy: Policy) -> None:
        """Order by `policy` from now on. Nobody waits at that moment: all were pulled."""
        self._policy = policy
        self.queues = {}

    def enqueue(self, request: Request) -> None:
        """`request` begins to wait."""
        self.backlog.began(request)
        self.push(request)

    def dequeue(self, request: Request) -> None:
        """`request` waits no more."""
        self.pull(request)
        self.backlog.ended(request)

    def push(self, request: Request) -> None:
        """Put a waiting request in its place by what is known of it now."""
        if request.output_tokens:
            request.queued_work_s = self._policy.cost.remaining_s(request)
        else:
            request.queued_work_s = request.service_s
        self.backlog.add(request)
        queue = self.queues.get(request.lane)
        if queue is None:
            queue = self.queues[request.lane] = Waiting(
                self._policy, self._tier_order, self._ledger, self._by_tenant
            )
        queue.push(request)
        if _may_be_given_up(request):
            self.deadlines.push(request)

    def pull(self, request: Request) -> None:
        """Take a waiting request out of its place, to push it again."""
        self.queues[request.lane].take(request)
        if _may_be_given_up(request):
            self.deadlines.entry_died()
        self.backlog.remove(request)


def _may_be_given_up(request: Request) -> bool:
    """It has a deadline, and its client has no part of the answer yet."""
    return request.deadline_s is not None and not request.output_tokens
