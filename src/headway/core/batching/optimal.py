"""Wait or launch by a table that is solved for the fitted curve and the arrival rate."""

from __future__ import annotations

from headway.core.batching.adaptive import Adaptive
from headway.core.batching.batch import Batch
from headway.core.batching.policy import Queue
from headway.core.batching.smdp import Problem, Table

DRIFT_SHARE = 0.2
"""The table is solved anew once the curve or the rate differ by this part of what it was for."""

SILENT_GAPS = 5.0
"""A Poisson process is silent for so many mean gaps once in 150 times: then it is not waited on."""


class Optimal:
    """Looks up in a Table how many to launch; as `Adaptive` until there is one.

    Solving takes longer than a step may, so it is left to the driver: `problem` says what to
    solve, `smdp.solve` solves it (a pure function, in any thread or process), and `use` puts the
    table in place.
    """

    def __init__(self) -> None:
        self._table: Table | None = None
        self._until_then = Adaptive()

    def problem(self, queue: Queue) -> Problem | None:
        """What to solve now; None while the table fits, or while the rate is not known."""
        rate_per_s = queue.rate_per_worker_s
        if rate_per_s <= 0.0:
            return None
        if self._table is not None:
            old = self._table.problem
            rate_drifted = abs(rate_per_s - old.rate_per_s) > DRIFT_SHARE * old.rate_per_s
            curve_drifted = _differs(queue, old)
            if not rate_drifted and not curve_drifted and queue.sizes == old.sizes:
                return None
        return Problem(queue.curve, queue.length, rate_per_s, queue.sizes)

    def use(self, table: Table) -> None:
        """Decide by `table` from now on."""
        self._table = table

    def size(self, queue: Queue) -> int:
        if self._table is None:
            return self._until_then.size(queue)
        size = min(self._table.size(queue.share), queue.sizes[-1])
        if not size and queue.now_s >= self.until_s(queue):
            return min(queue.share, queue.sizes[-1])
        return size

    def until_s(self, queue: Queue) -> float:
        if self._table is None:
            return self._until_then.until_s(queue)
        if queue.free_workers > 1:
            return queue.now_s  # company would find the other worker free
        gap_s = 1.0 / self._table.problem.rate_per_s
        return queue.oldest_s + queue.waiting * gap_s * SILENT_GAPS

    def finished(self, batch: Batch, took_s: float) -> None:
        pass


def _differs(queue: Queue, old: Problem) -> bool:
    """Whether batches take another time now than when the problem was posed."""
    for size in (1, queue.sizes[-1]):
        then_s = old.curve.batch_s(size, old.length)
        if abs(queue.curve.batch_s(size, queue.length) - then_s) > DRIFT_SHARE * then_s:
            return True
    return False
