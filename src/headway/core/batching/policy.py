"""What a batching policy is asked: launch now, and how many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from headway.core.batching.batch import Batch
from headway.core.batching.curve import Curve
from headway.core.batching.limits import Limits


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """What a policy sees: the waiting items of one tier at a moment when a worker is free."""

    now_s: float
    waiting: int
    """At least 1."""
    oldest_s: float
    """Arrival of the one that waits longest."""
    newest_s: float
    """The last arrival in this tier."""
    rate_per_s: float
    """Arrivals in this tier; 0: not known."""
    length: float
    """Mean padded length of batches of late."""
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


class BatchingPolicy(Protocol):
    """Decides when to launch a batch and how large. With whom is not its matter.

    A policy keeps no items. It is asked again at every event and at `until_s`.
    """

    def size(self, snapshot: QueueSnapshot) -> int:
        """How many of the waiting items to launch now; 0: wait."""
        ...

    def until_s(self, snapshot: QueueSnapshot) -> float:
        """When to ask again if nothing happens, after `size` said to wait."""
        ...

    def finished(self, batch: Batch, took_s: float) -> None:
        """A batch that this policy sized has ended."""
        ...
