"""Wait while waiting pays, and launch as many items as pays: by the curve and the arrival rate.

Let a batch of n items take f + a n seconds, arrivals be Poisson with rate l, and r = l a. Under
"launch all that waits" the relative value of n waiting items is quadratic in n:

    v(n) = x n^2 + y n,    x = a (1 + r/2) / (1 - r^2),
    y (1 - r) = f (1 + r) - g a + x r (1 + 2 l f),    g = l (f/2 + x (1 + l f) + y)

(put v into the equation of the semi-Markov decision process, leave out the empty queue, and
compare powers of n). One step of policy improvement (Howard 1960) on v gives two rules:

- *wait*: waiting for one more arrival costs n / l item-seconds of delay and pays exactly while
  n < l f / 2, that is, until half of the arrivals in one fixed cost are waiting;
- *size*: launch all n while n <= (f/a) (1 + 2 r) / (1 - r). With more items it pays to cut, so
  that the first do not wait for the last. For long queues the fluid limit of the same equation
  gives a batch of e = l f / (1 - r), where arrivals and launches balance, plus about
  sqrt(2 (n - e) f / (a (1 - r))). `batch_size` is the curve that joins both ends.

More such steps give the optimum (`optimal`); the tests measure how little they add.
"""

from __future__ import annotations

from math import ceil, sqrt

from headway.core.batching.batch import Batch
from headway.core.batching.policy import BatchingPolicy, QueueSnapshot
from headway.core.settings import INFINITE

DECREASE = 0.9
"""Factor on the size limit after a batch that was too slow (as in Clipper)."""

SATURATED = 0.999
"""Share of a worker's time spent on items above which small batches are of no use."""


class Adaptive(BatchingPolicy):
    """Waits while waiting pays, launches as many items as pays, and keeps a latency SLO.

    The size limit follows additive increase, multiplicative decrease: one more item after a full
    batch that took at most half of the SLO, a tenth less after a batch that took longer. It is
    half because an item that arrives right after a launch waits for that batch and for its own.

    Args:
        slo_s: latency that items should stay below, in seconds; None: only the model limits sizes.

    Source: Crankshaw et al., "Clipper", NSDI 2017 (AIMD); the module derives the rest.
    """

    def __init__(self, slo_s: float | None = None) -> None:
        self._slo_s = slo_s
        self._limit = INFINITE
        """Size limit from the SLO; infinite until a batch was too slow."""

    def size(self, snapshot: QueueSnapshot) -> int:
        most = self._most(snapshot)
        if snapshot.share < most and snapshot.now_s < self.until_s(snapshot):
            return 0
        return min(most, snapshot.share, self._worthwhile(snapshot))

    def until_s(self, snapshot: QueueSnapshot) -> float:
        # The rule for n items that arrive evenly: none waits longer than half a fixed cost. So the
        # wait also ends if arrivals are no Poisson process and no more items come.
        if snapshot.free_workers > 1 or snapshot.share >= snapshot.rate_per_worker_s * self._half_s(
            snapshot
        ):
            return snapshot.now_s
        return snapshot.oldest_s + self._half_s(snapshot)

    def finished(self, batch: Batch, took_s: float) -> None:
        if self._slo_s is None:
            return
        if took_s > self._slo_s / 2.0:
            self._limit = max(1.0, DECREASE * min(self._limit, len(batch)))
        elif len(batch) + 1 > self._limit:
            self._limit += 1.0

    def _most(self, snapshot: QueueSnapshot) -> int:
        largest = snapshot.sizes[-1]
        return largest if self._limit >= largest else int(self._limit)

    def _half_s(self, snapshot: QueueSnapshot) -> float:
        return snapshot.curve.fixed_s / 2.0

    def _worthwhile(self, snapshot: QueueSnapshot) -> int:
        item_s = snapshot.curve.per_item_s(snapshot.length)
        return batch_size(
            snapshot.share, snapshot.rate_per_worker_s, snapshot.curve.fixed_s, item_s
        )


def batch_size(waiting: int, rate_per_s: float, fixed_s: float, item_s: float) -> int:
    """How many of `waiting` items to launch for about the least mean latency.

    Args:
        waiting: number of waiting items.
        rate_per_s: arrivals per second for this worker.
        fixed_s: cost of a batch of any size.
        item_s: cost of each item; positive.
    """
    busy = rate_per_s * item_s
    if busy >= SATURATED:
        return waiting
    balance = rate_per_s * fixed_s / (1.0 - busy)
    excess = waiting - balance
    if excess <= 0.0:
        return waiting
    scale = fixed_s / item_s
    # scale * (sqrt(1 + 8 u) - 1) / 2, in a form that stays exact for a large scale.
    root = sqrt(1.0 + 8.0 * excess / (scale * (1.0 - busy)))
    more = 4.0 * excess / ((1.0 - busy) * (root + 1.0))
    return min(waiting, max(1, ceil(balance + more - 1e-9)))
