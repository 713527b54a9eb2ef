"""What first come, first served would do with the same requests."""

from __future__ import annotations

from collections import deque

from headway.core.drain_rate import DrainRate
from headway.core.latency_window import Entry, LatencyWindow
from headway.core.learned_ratio import LearnedRatio

TAIL = 0.99
GOLDEN = 0.6180339887498949
"""Its multiples, without their whole parts, fill the unit interval evenly."""
LEARNED_FROM = 1000
LEARNED_FROM_LATE = 200
"""Requests that predictions are corrected by, of all and of the overtaken ones."""


class Visit:
    """One request, as it is served and as it would be."""

    __slots__ = (
        "arrival_s",
        "began",
        "fcfs",
        "fcfs_wait_s",
        "gone",
        "late",
        "latency_s",
        "predicted_s",
        "run_s",
        "work_s",
    )

    def __init__(self, arrival_s: float, predicted_s: float, work_s: float, fcfs: Entry) -> None:
        self.arrival_s = arrival_s
        self.predicted_s = predicted_s
        self.work_s = work_s
        """As predicted, less what predictions are off by in the mean; in the end the real one."""
        self.fcfs = fcfs
        """Its latency under first come, first served, in the window of those."""
        self.began = False
        self.gone = False
        self.late = False
        """Whether it was overtaken."""
        self.fcfs_wait_s: float | None = None
        self.run_s: float | None = None
        self.latency_s = 0.0


class FcfsShadow:
    """First come, first served on the same arrivals, for requests that wait in one queue.

    It needs no model of the backends: whatever the order, about as much work is begun by any time.
    So the shadow begins the request at its head as soon as more work has really been begun than it
    has begun itself. That holds with any number of backends, under caps, behind higher tiers and
    through outages. A request runs in it as long as in reality.

    Times of requests that still wait are predicted by their work and the rate at which work is
    begun; all of it is corrected as lengths become known. An event takes O(1) amortised.
    """

    def __init__(self) -> None:
        self._visits: dict[str, Visit] = {}
        self._queue: deque[Visit] = deque()
        """Those that the shadow has not begun."""
        self._overtaken: dict[Visit, None] = {}
        """Those that the shadow has begun and that wait in reality, by arrival."""
        self._backlog_s = 0.0
        """Work of those that the shadow has not begun."""
        self._ahead_s = 0.0
        """Work that was begun in reality and not in the shadow."""
        self._rate = DrainRate()
        self._runs = LatencyWindow()
        self._fcfs = LatencyWindow()
        self._real = LatencyWindow()
        self._fcfs_of_real = LatencyWindow()
        self._forget_ratios()
        self._golden = 0.0

    # ---- events -----------------------------------------------------------------------------

    def arrived(self, name: str, predicted_s: float, arrival_s: float) -> None:
        """A request begins to wait; `predicted_s` is its work."""
        self._golden = (self._golden + GOLDEN) % 1.0
        wait_s = self._rate.time_s(max(0.0, self._backlog_s))
        fcfs = self._fcfs.add(wait_s + self._runs.quantile_s(self._golden))
        work_s = predicted_s * self._off_by.value(1.0)
        visit = self._visits[name] = Visit(arrival_s, predicted_s, work_s, fcfs)
        self._queue.append(visit)
        self._backlog_s += work_s

    def revised(self, name: str, predicted_s: float) -> None:
        """The work of a request is predicted anew."""
        visit = self._visits.get(name)
        if visit is not None:
            visit.predicted_s = predicted_s
            self._correct(visit, predicted_s * self._off_by.value(1.0))

    def started(self, name: str, now_s: float) -> None:
        """A request starts to run, perhaps not for the first time."""
        visit = self._visits.get(name)
        if visit is None or visit.began:
            return
        visit.began = True
        self._overtaken.pop(visit, None)
        self._ahead_s += visit.work_s
        self._rate.began(visit.work_s, now_s)
        self._advance(now_s)

    def finished(self, name: str, work_s: float, started_s: float, now_s: float) -> None:
        """A request is done, with so much work."""
        visit = self._visits.pop(name, None)
        if visit is None:
            return
        visit.run_s = run_s = max(0.0, now_s - started_s)
        self._off_by.add(work_s, visit.predicted_s)
        self._run_per_work.add(run_s, work_s)
        if visit.late:
            self._run_per_work_of_late.add(run_s, visit.work_s)
        self._correct(visit, work_s)
        visit.latency_s = max(0.0, now_s - visit.arrival_s)
        self._runs.add(run_s)
        if visit.fcfs_wait_s is not None:
            self._compare(visit, visit.fcfs_wait_s + run_s)
        self._advance(now_s)

    def left(self, name: str, now_s: float) -> None:
        """A request is cancelled or given up: neither order has it, nor what it would have taken.

        What it has taken is so little in the mean that it is forgotten.
        """
        visit = self._visits.pop(name, None)
        if visit is None:
            return
        visit.gone = True
        self._fcfs.drop(visit.fcfs)
        self._overtaken.pop(visit, None)
        if visit.began:
            self._ahead_s -= visit.work_s
        if visit.fcfs_wait_s is not None:
            self._ahead_s += visit.work_s
        else:
            self._backlog_s -= visit.work_s
        self._advance(now_s)

    def predict_anew(self, now_s: float) -> None:
        """Predict the latencies of those that the shadow has not begun: in a first burst nobody
        knew at their arrival how fast work is begun. Takes O(queue log queue)."""
        run_s = self._runs.quantile_s(0.5)
        work_s = 0.0
        for visit in self._queue:
            if not visit.gone:
                waited_s = max(0.0, now_s - visit.arrival_s)
                self._fcfs.revise(visit.fcfs, waited_s + self._rate.time_s(work_s) + run_s)
                work_s += visit.work_s

    def recalibrated(self) -> None:
        """Work is in other seconds from now on; `revised` says how much of it waits."""
        self._rate = DrainRate()
        self._forget_ratios()

    # ---- questions --------------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether any request waits, here or in reality."""
        return bool(self._queue or self._overtaken)

    @property
    def overtaken(self) -> int:
        """Requests that wait, and would run by now."""
        return len(self._overtaken)

    @property
    def tail_s(self) -> float:
        """p99 latency of the last requests under first come, first served.

        Of the last arrivals, or of the last finished ones if theirs is larger: what is predicted
        of the others leaves out the longest, which take longest to become known.
        """
        finished_s = self._fcfs_of_real.quantile_s(TAIL)
        return max(finished_s, self._fcfs.quantile_s(TAIL))

    @property
    def stretch(self) -> float | None:
        """Real p99 latency of the last finished requests over their p99 latency in the shadow;
        None before there is any."""
        fcfs_s = self._fcfs_of_real.quantile_s(TAIL)
        return self._real.quantile_s(TAIL) / fcfs_s if fcfs_s > 0.0 else None

    def latest_s(self, limit_s: float, now_s: float) -> float:
        """The longest latency of the waiting requests if first come, first served began now.

        One in a hundred may be longer than `limit_s`, and has been if so many were: as long as
        fewer were, the longest ones here do not count. Takes O(overtaken log overtaken).
        """
        work_s, found = 0.0, []
        longest_s = self._runs.quantile_s(TAIL)
        per_work = self._run_per_work_of_late.value(self._run_per_work.value(1.0))
        time_s = self._rate.time_s
        for visit in self._next_in_shadow():
            run_s = min(longest_s, per_work * visit.work_s)
            found.append(now_s - visit.arrival_s + time_s(work_s) + run_s)
            work_s += visit.work_s
        spared = int((1.0 - TAIL) * len(self._real)) - self._real.above(limit_s)
        found.sort()
        place = len(found) - 1 - max(0, spared)
        return found[place] if place >= 0 else 0.0

    # ---- how it follows ---------------------------------------------------------------------

    def _next_in_shadow(self) -> list[Visit]:
        """Those that it began and that still wait, and the one that is next."""
        head = self._queue[0] if self._queue else None
        return [*self._overtaken, *([head] if head is not None and not head.began else [])]

    def _forget_ratios(self) -> None:
        self._off_by = LearnedRatio(LEARNED_FROM)
        """Real over predicted work."""
        self._run_per_work = LearnedRatio(LEARNED_FROM)
        self._run_per_work_of_late = LearnedRatio(LEARNED_FROM_LATE)
        """Time over work as it was predicted, of those that were overtaken: they are the ones that
        seemed long, and many of them only seemed so."""

    def _advance(self, now_s: float) -> None:
        """Begin in the shadow what would have begun by now."""
        queue = self._queue
        while queue and (queue[0].gone or self._ahead_s > 1e-9):
            visit = queue.popleft()
            if visit.gone:
                continue
            self._ahead_s -= visit.work_s
            self._backlog_s -= visit.work_s
            visit.fcfs_wait_s = max(0.0, now_s - visit.arrival_s)
            if visit.run_s is not None:
                self._compare(visit, visit.fcfs_wait_s + visit.run_s)
            elif not visit.began:
                self._overtaken[visit] = None
                visit.late = True
        if not queue:
            self._backlog_s = 0.0  # no drift from rounding

    def _correct(self, visit: Visit, work_s: float) -> None:
        """The work of a request is another: in what was begun, and in what waits."""
        more_s = work_s - visit.work_s
        visit.work_s = work_s
        if visit.began:
            self._ahead_s += more_s
        if visit.fcfs_wait_s is not None:
            self._ahead_s -= more_s
        else:
            self._backlog_s += more_s

    def _compare(self, visit: Visit, fcfs_s: float) -> None:
        """Both latencies of a request are known."""
        self._fcfs.revise(visit.fcfs, fcfs_s)
        self._fcfs_of_real.add(fcfs_s)
        self._real.add(visit.latency_s)
