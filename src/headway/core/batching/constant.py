"""Launch at a maximum size or after a maximum delay."""

from __future__ import annotations

from headway.core.batching.batch import Batch
from headway.core.batching.policy import Queue


class Constant:
    """Waits until a batch is full or its oldest item has waited `max_delay_s`.

    The rule of Triton, TF Serving, Ray Serve and TorchServe. With no delay a batch is launched
    whenever a worker is free.

    Args:
        max_size: items that make a batch full.
        max_delay_s: the longest wait for company, in seconds, counted from arrival.
    """

    def __init__(self, max_size: int, max_delay_s: float) -> None:
        self._max_size = max_size
        self._max_delay_s = max_delay_s

    def size(self, queue: Queue) -> int:
        full = min(self._max_size, queue.sizes[-1])
        if queue.waiting >= full:
            return full
        return queue.waiting if queue.now_s >= self.until_s(queue) else 0

    def until_s(self, queue: Queue) -> float:
        return queue.oldest_s + self._max_delay_s

    def finished(self, batch: Batch, took_s: float) -> None:
        pass
