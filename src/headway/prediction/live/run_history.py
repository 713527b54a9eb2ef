"""What a run does after each of its answers, learned from runs that ended."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice, pairwise
from math import ceil, log2

from headway.core.estimate import SizeEstimate
from headway.prediction.live.history import Origin
from headway.prediction.live.watch import Watch

BIN_MS = tuple(sorted({round(2 ** (halves / 2)) for halves in range(57)}))
"""Upper edges of two bins an octave, from 1 ms to three days. The first is of last answers."""
IDLE_S = 600.0
"""A run without a request for so long has ended, as far as can be known."""
PSEUDO_COUNTS = 2.0
"""Weight of the prior or of the wider group, as a number of answers."""
REMEMBERED_RUNS = 256.0
"""Above this, the counts of a group are halved, so that they follow the traffic."""
REMEMBERED_GROUPS = 8192
MOST_RUNS = 8192
"""Runs that are followed; of more, the one idle for longest counts as ended."""
MOST_WATCHED = 8
"""Answers of a run that the watch compares, spread evenly."""
MOST_ANSWERS = 512
"""Answers of a run that are learned from: its last ones."""


@dataclass(frozen=True, slots=True)
class _End:
    """The end of an answer."""

    place: str | int
    path_s: float
    """Service along the longest path to it."""
    predicted: SizeEstimate | None
    """What was to come, as predicted when its request arrived."""


@dataclass(slots=True)
class _Run:
    """A run that may go on."""

    origin: Origin
    """Of its first request: runs are alike if they begin alike."""
    last_s: float
    answers: int = 0
    live: int = 0
    """Requests that wait or run."""
    path_s: float = 0.0
    """Service along its longest path so far."""
    ends: deque[_End] = field(default_factory=lambda: deque(maxlen=MOST_ANSWERS))


class RunHistory:
    """Distributions of what comes after an answer in its run: service along the longest path.

    Groups, from wide to narrow: the model; its tenant; the template of the run's first request;
    the place in the run, which is the step's name, or without names about how many answers there
    were; and about how much the run has attained. A group shrinks towards the wider one with the
    weight of PSEUDO_COUNTS answers, and the widest towards the prior that a run goes on for as
    long as it has taken: after a seconds, P(more than x) = a / (a + x), as of heavy tails.

    A run has ended if its client says so, or IDLE_S after its last request.

    Args:
        watch: compares what was predicted with what came. While it does not trust the order,
            nothing is predicted. None: it is always trusted.
    """

    def __init__(self, watch: Watch | None = None) -> None:
        self.watch = watch
        self._groups: OrderedDict[tuple[object, ...], _Counts] = OrderedDict()
        self._runs: OrderedDict[tuple[str, str], _Run] = OrderedDict()
        """The one idle for longest first."""

    def arrived(self, origin: Origin, step: str, own_s: float, now_s: float) -> SizeEstimate | None:
        """A request of a run is new. Returns what comes after its answer, in ms; None: not known.

        Args:
            origin: of the request.
            step: its name; empty: it has none.
            own_s: its own service, as predicted.
            now_s: the time.
        """
        self._forget_idle(now_s)
        key = origin.tenant, origin.program
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = _Run(origin, now_s)
            if len(self._runs) > MOST_RUNS:
                self._learn(self._runs.popitem(last=False)[1])
        run.live += 1
        run.last_s = now_s
        self._runs.move_to_end(key)
        if self.watch is not None and not self.watch.trusted:
            return None
        attained = _octave(run.path_s + own_s)
        estimate = _prior(attained)
        for group in _groups(run.origin, _place(step, run.answers), attained):
            counts = self._groups.get(group)
            if counts is not None:
                estimate = counts.estimate(estimate)
        return estimate

    def left(
        self,
        origin: Origin,
        step: str,
        path_s: float | None,
        now_s: float,
        predicted: SizeEstimate | None = None,
    ) -> None:
        """A request of a run neither waits nor runs any more.

        Args:
            origin: of the request.
            step: its name; empty: it has none.
            path_s: service of the run along the longest path to the end of its answer; None: it
                was not answered.
            now_s: the time.
            predicted: what `arrived` returned; None: that did not count.
        """
        key = origin.tenant, origin.program
        run = self._runs.get(key)
        if run is None:  # forgotten meanwhile
            return
        run.live = max(0, run.live - 1)
        run.last_s = now_s
        self._runs.move_to_end(key)
        if path_s is not None:
            run.ends.append(_End(_place(step, run.answers), path_s, predicted))
            run.answers += 1
            run.path_s = max(run.path_s, path_s)

    def ended(self, origin: Origin) -> None:
        """The client says that nothing of a run is to come."""
        run = self._runs.pop((origin.tenant, origin.program), None)
        if run is not None:
            self._learn(run)

    def _forget_idle(self, now_s: float) -> None:
        """Learn from runs that have ended, as far as can be known."""
        while self._runs:
            key, run = next(iter(self._runs.items()))
            if now_s - run.last_s < IDLE_S:
                return
            if run.live:
                run.last_s = now_s  # it waits
                self._runs.move_to_end(key)
            else:
                del self._runs[key]
                self._learn(run)

    def _learn(self, run: _Run) -> None:
        for end in run.ends:
            left_ms = 1000.0 * (run.path_s - end.path_s)
            for group in _groups(run.origin, end.place, _octave(end.path_s)):
                counts = self._groups.get(group)
                if counts is None:
                    counts = self._groups[group] = _Counts()
                    if len(self._groups) > REMEMBERED_GROUPS:
                        self._groups.popitem(last=False)
                self._groups.move_to_end(group)
                counts.observe(left_ms)
        if self.watch is not None:
            every = ceil(len(run.ends) / MOST_WATCHED)
            for end in islice(run.ends, 0, None, every or 1):
                if end.predicted is not None:
                    left_ms = max(1, round(1000.0 * (run.path_s - end.path_s)))
                    score = log2(end.predicted.mean)
                    self.watch.observe(run.origin.model, score, end.predicted, left_ms)


class _Counts:
    """What came after in the runs of a group: counts over BIN_MS."""

    __slots__ = ("_cached", "_counts", "_total", "_wider")

    def __init__(self) -> None:
        self._counts = [0.0] * len(BIN_MS)
        self._total = 0.0
        self._cached: SizeEstimate | None = None
        self._wider: SizeEstimate | None = None

    def observe(self, left_ms: float) -> None:
        self._counts[min(bisect_left(BIN_MS, left_ms), len(BIN_MS) - 1)] += 1.0
        self._total += 1.0
        if self._total > REMEMBERED_RUNS:
            self._counts = [count / 2.0 for count in self._counts]
            self._total /= 2.0
        self._cached = None

    def estimate(self, wider: SizeEstimate) -> SizeEstimate:
        if self._cached is None or self._wider is not wider:
            pairs = zip(self._counts, wider.weights, strict=True)
            weights = [count + PSEUDO_COUNTS * weight for count, weight in pairs]
            self._cached, self._wider = SizeEstimate(BIN_MS, weights), wider
        return self._cached


def _groups(origin: Origin, place: str | int, attained: int) -> tuple[tuple[object, ...], ...]:
    """The groups of an answer, from wide to narrow."""
    model, tenant, template = origin.model, origin.tenant, origin.template
    alike = (model, tenant, template)
    return (model,), (model, tenant), alike, (*alike, place), (*alike, place, attained)


def _place(step: str, answers: int) -> str | int:
    """What answers have in common that are about as far in their runs."""
    return step or round(2.0 * log2(1 + answers))


def _octave(attained_s: float) -> int:
    return ceil(log2(max(1e-3, attained_s)))


@lru_cache(maxsize=64)
def _prior(attained: int) -> SizeEstimate:
    attained_ms = 1000.0 * 2.0**attained
    more = [1.0, *(attained_ms / (attained_ms + edge) for edge in BIN_MS)]
    return SizeEstimate(BIN_MS, [above - below for above, below in pairwise(more)])
