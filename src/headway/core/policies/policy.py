"""What every policy answers: in which order, and whether stopping somebody pays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from headway.core.queue import RankHeap, TierQueue, WaitingQueue
from headway.core.request import Request
from headway.core.settings import SchedulerSettings
from headway.core.tenant_heap import TenantHeap


class Policy(ABC):
    """An order of requests within one tier and tenant: the smaller rank runs first.

    A rank must not change while its request waits. What changes with time alone belongs into
    a queue of its own (see `hrrn`), never into a comparison.
    """

    preemptive: ClassVar[bool] = False
    """Whether a waiting request may take the slot of a running one of its own tier."""

    by_length: ClassVar[bool] = False
    """Whether it orders by predicted lengths: then it is worth what the predictions are."""

    needs_predictor: ClassVar[bool] = False
    """Whether each request's own prediction makes the order: what history says of its like is
    about the same for all."""

    limit_c: ClassVar[float | None] = None
    """Nobody is stopped who has produced this many times its initial prediction; None: no limit."""

    def __init__(self, settings: SchedulerSettings) -> None:
        self.name = settings.policy
        self.cost = settings.cost

    @abstractmethod
    def rank(self, request: Request) -> float:
        """The rank of `request` as it stands."""

    def queue(self) -> WaitingQueue:
        """A new queue that keeps requests in this policy's order."""
        return RankHeap(self.rank)

    def queue_by_tenant(self) -> TierQueue:
        """The same where tenants have caps: whoever is at its cap is passed over."""
        return TenantHeap(self.rank)

    def gain_s(self, waiting: Request, running: Request) -> float:
        """Time saved by giving the slot of `running` to `waiting`, in seconds.

        At most 0 if `running` is not ranked behind `waiting`. The default suits ranks in seconds;
        a policy with other ranks overrides it.
        """
        return self.rank(running) - self.rank(waiting)
