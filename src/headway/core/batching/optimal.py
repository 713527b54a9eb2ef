"""Wait or launch by a table solved for the fitted curve and the arrival rate."""

from __future__ import annotations

from headway.core.batching.adaptive import Adaptive
from headway.core.batching.policy import BatchingPolicy, QueueSnapshot
from headway.core.batching.smdp import Problem, Table

DRIFT_SHARE = 0.1
"""Relative change of the curve or the rate after which the table is solved again."""

SILENT_GAPS = 5.0
"""Number of mean gaps without an arrival after which waiting ends; a Poisson process pauses that
long once in 150 gaps."""


class Optimal(BatchingPolicy):
    """Looks up in a Table how many items to launch; decides like `Adaptive` until it has one.

    Solving takes longer than a step may, so the driver does it: `problem` returns what to solve,
    `smdp.solve` solves it (a pure function, for any thread or process), and `use` installs the
    table.
    """

    solves = True

    def __init__(self) -> None:
        self._table: Table | None = None
        self._fallback = Adaptive()

    def problem(self, snapshot: QueueSnapshot) -> Problem | None:
        """The problem to solve; None while the table fits or the rate is unknown."""
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
        self._table = table

    def size(self, snapshot: QueueSnapshot) -> int:
        if self._table is None:
            return self._fallback.size(snapshot)
        size = min(self._table.size(snapshot.share), snapshot.sizes[-1])
        if not size and snapshot.now_s >= self.until_s(snapshot):
            return min(snapshot.share, snapshot.sizes[-1])
        return size

    def until_s(self, snapshot: QueueSnapshot) -> float:
        if self._table is None:
            return self._fallback.until_s(snapshot)
        if snapshot.free_workers > 1:
            return snapshot.now_s  # a further item would find the other worker free
        return snapshot.newest_s + SILENT_GAPS / self._table.problem.rate_per_s


def _drifted(then: float, now: float) -> bool:
    """Whether a quantity has changed since the problem was posed."""
    return abs(now - then) > DRIFT_SHARE * then
