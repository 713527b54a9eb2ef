"""What batching must know about the waiting items of one tier, apart from their order."""

from __future__ import annotations

from operator import attrgetter

from headway.core.batching.adaptive import Adaptive
from headway.core.batching.batch import Batch
from headway.core.batching.constant import Constant
from headway.core.batching.curve import Curve
from headway.core.batching.length_aware import LengthIndex
from headway.core.batching.limits import Limits
from headway.core.batching.optimal import Optimal
from headway.core.batching.policy import BatchingPolicy, QueueSnapshot
from headway.core.batching.rate import ArrivalRate
from headway.core.batching.settings import TierBatching
from headway.core.queue import RankHeap
from headway.core.request import Request, Tier

LENGTH_MEMORY = 1 / 16
"""Weight of the newest batch in the moving average of lengths."""


class ItemQueue:
    """The oldest item of a tier, its first deadline, lengths and arrival rate; and its policy.

    Args:
        tier: the tier of the items.
        batching: how they are batched.
        limits: the shapes that a batch may have.
        by_length: whether to keep items in order of length, too.
    """

    def __init__(self, tier: Tier, batching: TierBatching, limits: Limits, by_length: bool) -> None:
        self.tier = tier
        self.most = min(batching.max_size or limits.largest, limits.largest)
        """Most items in a batch that this tier leads."""
        self.policy = _policy(batching, self.most)
        self.rate = ArrivalRate()
        self.lengths = LengthIndex() if by_length else None
        self.mean_length = 0.0
        """Moving average of recent padded lengths; at first that of the first item."""
        self.waiting = 0
        self._limits = limits
        self._sizes = (*(size for size in limits.launchable() if size < self.most), self.most)
        self._oldest = RankHeap(attrgetter("arrival_s"))
        self._deadlines = RankHeap(attrgetter("latest_start_s"))

    def is_of(self, tier: Tier) -> bool:
        """Whether this is the queue of `tier`."""
        return tier is self.tier

    def is_below(self, tier: Tier) -> bool:
        """Whether `tier` outranks this one."""
        return tier < self.tier

    def longest_wait_s(self, now_s: float) -> float:
        """How long the item waits that has waited longest; 0 if none waits."""
        oldest = self._oldest.peek(now_s)
        return 0.0 if oldest is None else now_s - oldest.arrival_s

    def arrived(self, request: Request, now_s: float) -> None:
        """Count `request`, which is new, in the arrival rate."""
        self.rate.arrived(now_s)
        if not self.mean_length:
            self.mean_length = float(self._limits.padded_length(request.prompt_tokens))

    def launched(self, batch: Batch) -> None:
        """Count `batch`, which an item of this tier leads, in the mean length."""
        self.mean_length += LENGTH_MEMORY * (batch.length - self.mean_length)

    def push(self, request: Request) -> None:
        """Add `request` under its present ticket."""
        self.waiting += 1
        self._oldest.push(request)
        if request.deadline_s is not None:
            self._deadlines.push(request)
        if self.lengths is not None:
            self.lengths.add(request)

    def remove(self, request: Request) -> None:
        """Remove `request`, whose ticket was raised."""
        self.waiting -= 1
        self._oldest.entry_died()
        if request.deadline_s is not None:
            self._deadlines.entry_died()
        if self.lengths is not None:
            self.lengths.remove(request)

    def first_deadline(self, now_s: float) -> Request | None:
        """The item that must be launched first; None if no item has a deadline."""
        return self._deadlines.peek(now_s)

    def count_before(self, latest_start_s: float, sampled: int) -> float:
        """Estimated number of waiting items that must be launched by `latest_start_s`."""
        sample = list(self._deadlines.sample(sampled))
        earlier = sum(other.latest_start_s <= latest_start_s for other in sample)
        return len(self._deadlines) * earlier / max(1, len(sample))

    def launch_by_s(self, first: Request, curve: Curve) -> float:
        """When `first` must be launched in a batch with the other waiting items.

        Never later than its latest start alone.
        """
        size = self._limits.padded_size(min(self.waiting, self.most))
        length = max(self._limits.padded_length(first.prompt_tokens), self.mean_length)
        assert first.deadline_s is not None
        return min(first.latest_start_s, first.deadline_s - curve.late_s(size, length))

    def snapshot(
        self, now_s: float, workers: int, free_workers: int, curve: Curve, within_s: float
    ) -> QueueSnapshot:
        """What the policy decides by; at least one item must be waiting.

        Leaves out sizes that take longer than `within_s` or exceed the memory limit.
        """
        oldest = self._oldest.peek(now_s)
        assert oldest is not None
        limits, length = self._limits, self.mean_length
        sizes = self._sizes
        largest = limits.padded_size(self.most)
        if curve.batch_s(largest, length) > within_s or not limits.holds(self.most, int(length)):
            sizes = tuple(
                size
                for size in sizes
                if curve.batch_s(limits.padded_size(size), length) <= within_s
                and limits.holds(size, int(length))
            )
        return QueueSnapshot(
            now_s,
            self.waiting,
            oldest.arrival_s,
            self.rate.last_s,
            self.rate.per_s(now_s),
            length,
            workers,
            free_workers,
            curve,
            limits,
            sizes or self._sizes[:1],
        )


def _policy(batching: TierBatching, most: int) -> BatchingPolicy:
    if batching.policy == "constant":
        return Constant(most, batching.max_delay_s)
    if batching.policy == "optimal":
        return Optimal()
    return Adaptive(batching.slo_s)
