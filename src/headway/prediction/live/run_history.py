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

HALVES = range(57)
BINS = tuple(round(1000 * 2 ** (half / 2 - 7)) for half in HALVES)
"""Upper edges of two bins an octave, in thousandths of a call, or of a second where steps have
names. The first is of last answers: nothing comes after them."""
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

    step: str
    path_s: float
    """Service along the longest path to it."""
    unit_s: float
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
    before_s: float = 0.0
    """The same up to a restart, after which callers count from 0."""
    ends: deque[_End] = field(default_factory=lambda: deque(maxlen=MOST_ANSWERS))


class RunHistory:
    """Distributions of what comes after an answer in its run: service along the longest path.

    Where steps have no names, the unit is the mean call of the run so far, as runs with long calls
    go on with long calls; a step with a name has its own distribution, in seconds. Groups, from
    wide to narrow: the model; its tenant; the template of the run's first request; the step. A
    group shrinks towards the wider one with the weight of PSEUDO_COUNTS answers, and the widest
    towards the prior that a run goes on for as long as it has taken: after a seconds,
    P(more than x) = a / (a + x), as of heavy tails.

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
        attained_s = max(1e-3, run.path_s + own_s)
        unit_s = _unit_s(step, attained_s, run.answers)
        estimate = _prior(_half_octaves(attained_s / unit_s))
        for group in _groups(run.origin, step):
            counts = self._groups.get(group)
            if counts is not None:
                estimate = counts.estimate(estimate)
        return _in_ms(estimate, _half_octaves(unit_s))

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
            path_s += run.before_s
            unit_s = _unit_s(step, max(1e-3, path_s), run.answers)
            run.ends.append(_End(step, path_s, unit_s, predicted))
            run.answers += 1
            run.path_s = max(run.path_s, path_s)

    def ended(self, origin: Origin) -> None:
        """The client says that nothing of a run is to come."""
        run = self._runs.pop((origin.tenant, origin.program), None)
        if run is not None:
            self._learn(run)

    def interrupted(self) -> None:
        """A restart: no request is left, and from now on `path_s` counts from there."""
        for run in self._runs.values():
            run.live, run.before_s = 0, run.path_s

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
            units = (run.path_s - end.path_s) / end.unit_s
            for group in _groups(run.origin, end.step):
                counts = self._groups.get(group)
                if counts is None:
                    counts = self._groups[group] = _Counts()
                    if len(self._groups) > REMEMBERED_GROUPS:
                        self._groups.popitem(last=False)
                self._groups.move_to_end(group)
                counts.observe(units)
        if self.watch is not None:
            every = ceil(len(run.ends) / MOST_WATCHED)
            for end in islice(run.ends, 0, None, every or 1):
                if end.predicted is not None:
                    left_ms = max(1, round(1000.0 * (run.path_s - end.path_s)))
                    score = log2(end.predicted.mean)
                    self.watch.observe(run.origin.model, score, end.predicted, left_ms)


class _Counts:
    """What came after in the runs of a group: counts over BINS."""

    __slots__ = ("_cached", "_counts", "_total", "_wider")

    def __init__(self) -> None:
        self._counts = [0.0] * len(BINS)
        self._total = 0.0
        self._cached: SizeEstimate | None = None
        self._wider: SizeEstimate | None = None

    def observe(self, units: float) -> None:
        self._counts[min(bisect_left(BINS, 1000.0 * units), len(BINS) - 1)] += 1.0
        self._total += 1.0
        if self._total > REMEMBERED_RUNS:
            self._counts = [count / 2.0 for count in self._counts]
            self._total /= 2.0
        self._cached = None

    def estimate(self, wider: SizeEstimate) -> SizeEstimate:
        if self._cached is None or self._wider is not wider:
            pairs = zip(self._counts, wider.weights, strict=True)
            weights = [count + PSEUDO_COUNTS * weight for count, weight in pairs]
            self._cached, self._wider = SizeEstimate(BINS, weights), wider
        return self._cached


def _groups(origin: Origin, step: str) -> tuple[tuple[object, ...], ...]:
    """The groups of an answer, from wide to narrow."""
    named = bool(step)  # in other units
    model, tenant, template = origin.model, origin.tenant, origin.template
    wide = (model, named), (model, named, tenant), (model, named, tenant, template)
    return (*wide, (*wide[-1], step)) if named else wide


def _unit_s(step: str, attained_s: float, answers: int) -> float:
    return 1.0 if step else attained_s / (answers + 1)


def _half_octaves(value: float) -> int:
    return round(2.0 * log2(value))


@lru_cache(maxsize=128)
def _prior(attained: int) -> SizeEstimate:
    """After so many half octaves of units."""
    attained_units = 1000.0 * 2.0 ** (attained / 2)
    more = [1.0, *(attained_units / (attained_units + edge) for edge in BINS)]
    return SizeEstimate(BINS, [above - below for above, below in pairwise(more)])


@lru_cache(maxsize=4096)
def _in_ms(estimate: SizeEstimate, unit: int) -> SizeEstimate:
    """`estimate` if a unit takes so many half octaves of seconds."""
    weights: dict[int, float] = {}
    for thousandths, weight in zip(estimate.tokens, estimate.weights, strict=True):
        ms = max(1, round(thousandths * 2.0 ** (unit / 2)))
        weights[ms] = weights.get(ms, 0.0) + weight
    return SizeEstimate(list(weights), list(weights.values()))
