"""The interface of a policy: the order of requests, and the gain of a preemption."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from headway.core.queue import RankHeap, TierQueue, WaitingQueue
from headway.core.request import Request
from headway.core.settings import SchedulerSettings
from headway.core.tail_keeper import TailKeeper
from headway.core.tenant_heap import TenantHeap


class Policy(ABC):
    """An order of requests within one tier and tenant: the smallest rank runs first.

    A rank must not change while its request waits. An order that changes with time alone needs a
    queue of its own (see `hrrn`).
    """

    preemptive: ClassVar[bool] = False
    """Whether a waiting request may take the slot of a running one of its own tier."""

    by_length: ClassVar[bool] = False
    """Whether it orders by predicted lengths: then it is as good as the predictions."""

    by_deadline: ClassVar[bool] = False
    """Whether it orders by deadlines: then a preemption within a tier has to save one."""

    needs_predictor: ClassVar[bool] = False
    """Whether it needs a prediction for each request, from its prompt: the mean of similar requests
    is about the same for all."""

    limit_c: ClassVar[float | None] = None
    """A request with this multiple of its initial prediction is never stopped; None: no limit."""

    ages: ClassVar[bool] = False
    """Whether the order of waiting requests changes with time alone."""

    tail: TailKeeper | None = None
    """Follows all requests, for a policy that promises a p99 latency; None: it promises none."""

    def __init__(self, settings: SchedulerSettings) -> None:
        self.name = settings.policy
        self.cost = settings.cost

    def use_slots(self, slots: int) -> None:  # noqa: B027 - most orders do not depend on it
        """The backends have so many slots in all from now on."""

    def use_scale(self, scale_s: float | None) -> None:  # noqa: B027 - most have no scale
        """Order by this scale instead of `tail.scale_s`, as all who share the backends do; None: by
        that one again."""

    @abstractmethod
    def rank(self, request: Request) -> float:
        """The present rank of `request`."""

    def queue(self) -> WaitingQueue:
        """A new queue in this policy's order."""
        return RankHeap(self.rank)

    def queue_by_tenant(self) -> TierQueue:
        """The same if tenants have caps: it skips tenants at theirs."""
        return TenantHeap(self.rank)

    def size_s(self, request: Request) -> float:
        """How long `request` takes a slot, in seconds. The default suits ranks in seconds."""
        return self.rank(request)

    def bar(self, running: Request, gain_s: float) -> float:
        """The rank that a waiting request must be before, for a gain of more than `gain_s`."""
        return self.rank(running) - gain_s

    def gain_s(self, waiting: Request, running: Request) -> float:
        """Time saved by giving the slot of `running` to `waiting`, in seconds.

        At most 0 if `running` is not ranked behind `waiting`. Infinite if `waiting` goes first
        whatever a preemption costs. The default suits ranks in seconds.
        """
        return self.rank(running) - self.rank(waiting)
