"""What a batching policy decides: whether to launch now, and how many items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from headway.core.batching.batch import Batch
from headway.core.batching.curve import Curve
from headway.core.batching.limits import Limits
from headway.core.batching.smdp import Problem, Table


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """The waiting items of one tier at a moment when a worker is free, as a policy sees them."""

    now_s: float
    waiting: int
    """At least 1."""
    oldest_s: float
    """Arrival of the item that has waited longest."""
    newest_s: float
    """Last arrival in this tier."""
    rate_per_s: float
    """Arrivals in this tier; 0: not known."""
    length: float
    """Moving average of recent padded lengths of batches."""
    workers: int
    free_workers: int
    """At least 1."""
    curve: Curve
    limits: Limits
    sizes: tuple[int, ...]
    """Batch sizes to plan with, ascending; the last one is the largest allowed."""

    @property
    def share(self) -> int:
        """Waiting items for each free worker, rounded up."""
        return -(-self.waiting // self.free_workers)

    def took_s(self, size: int) -> float:
        """Predicted duration of a batch of `size` items of the mean length."""
        return self.curve.batch_s(self.limits.padded_size(size), self.length)

    @property
    def rate_per_worker_s(self) -> float:
        """Arrivals for each worker, in items per second."""
        return self.rate_per_s / self.workers


class BatchingPolicy(ABC):
    """Decides when to launch a batch and how large it is, but not which items it holds.

    A policy keeps no items. It is asked again at every event and at `until_s`.
    """

    solves = False
    """Whether the policy decides by a Table; `problem` is called only then."""

    @abstractmethod
    def size(self, snapshot: QueueSnapshot) -> int:
        """How many of the waiting items to launch now; 0: wait."""

    @abstractmethod
    def until_s(self, snapshot: QueueSnapshot) -> float:
        """When to ask again if nothing happens, after `size` returned 0."""

    def finished(self, batch: Batch, took_s: float) -> None:
        """A batch whose size this policy chose has ended."""
        return

    def problem(self, snapshot: QueueSnapshot) -> Problem | None:
        """The problem to solve for a new table; None while the policy needs none."""
        return None

    def use(self, table: Table) -> None:
        """Decide by `table` from now on. Policies that do not solve ignore it."""
        return
