"""Wait or launch by a table that is solved for the fitted curve and the arrival rate."""

from __future__ import annotations

from headway.core.batching.adaptive import Adaptive
from headway.core.batching.batch import Batch
from headway.core.batching.policy import QueueSnapshot
from headway.core.batching.smdp import Problem, Table

DRIFT_SHARE = 0.1
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

    def problem(self, snapshot: QueueSnapshot) -> Problem | None:
        """What to solve now; None while the table fits, or while the rate is not known."""
        rate_per_s = snapshot.rate_per_worker_s
        if rate_per_s <= 0.0:
            return None
        most = snapshot.sizes[-1]
        if self._table is not None:
            old = self._table.problem
            if (
                not _drifted(old.rate_per_s, rate_per_s)
                and not _drifted(len(old.took_s), most)
                and not _drifted(old.took_s[0], snapshot.took_s(1))
                and not _drifted(old.took_s[-1], snapshot.took_s(most))
            ):
                return None
        durations_s = tuple(snapshot.took_s(size) for size in range(1, most + 1))
        return Problem(rate_per_s, durations_s, snapshot.sizes)

    def use(self, table: Table) -> None:
        """Decide by `table` from now on."""
        self._table = table

    def size(self, snapshot: QueueSnapshot) -> int:
        if self._table is None:
            return self._until_then.size(snapshot)
        size = min(self._table.size(snapshot.share), snapshot.sizes[-1])
        if not size and snapshot.now_s >= self.until_s(snapshot):
            return min(snapshot.share, snapshot.sizes[-1])
        return size

    def until_s(self, snapshot: QueueSnapshot) -> float:
        if self._table is None:
            return self._until_then.until_s(snapshot)
        if snapshot.free_workers > 1:
            return snapshot.now_s  # company would find the other worker free
        return snapshot.newest_s + SILENT_GAPS / self._table.problem.rate_per_s

    def finished(self, batch: Batch, took_s: float) -> None:
        pass


def _drifted(then: float, now: float) -> bool:
    """Whether a quantity is another one now than when the problem was posed."""
    return abs(now - then) > DRIFT_SHARE * then
