"""Launch at a maximum size or after a maximum delay."""

from __future__ import annotations

from headway.core.batching.policy import BatchingPolicy, QueueSnapshot


class Constant(BatchingPolicy):
    """Waits until a batch is full or its oldest item has waited `max_delay_s`.

    This is the rule of Triton, TF Serving, Ray Serve and TorchServe. With a delay of 0 a batch is
    launched whenever a worker is free.

    Args:
        max_size: number of items in a full batch.
        max_delay_s: the longest wait for further items, in seconds from arrival.
    """

    def __init__(self, max_size: int, max_delay_s: float) -> None:
        self._max_size = max_size
        self._max_delay_s = max_delay_s

    def size(self, snapshot: QueueSnapshot) -> int:
        full = min(self._max_size, snapshot.sizes[-1])
        if snapshot.waiting >= full:
            return full
        return snapshot.waiting if snapshot.now_s >= self.until_s(snapshot) else 0

    def until_s(self, snapshot: QueueSnapshot) -> float:
        return snapshot.oldest_s + self._max_delay_s
