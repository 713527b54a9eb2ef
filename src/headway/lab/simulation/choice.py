"""Which policy to serve with next: recent traffic, replayed under each candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log

import msgspec
import numpy as np

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.measures import Distribution, Measures, measures_of
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.predictions import predictions_of
from headway.lab.simulation.recent import AsServed, Recent
from headway.lab.simulation.simulator import UNSTEERED, simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import NOTHING, Objective
from headway.lab.simulation.steering import Steering

REFERENCE = "fcfs"
CANDIDATES = (REFERENCE, "sjf", "srpt", "hrrn", "boost")
KEEPS_ITS_PROMISE = "boost"
"""It is steered by the same promise on live traffic: a replay, cut out of that, breaks it by
chance."""
LEAST_REQUESTS = 200
"""Fewer say too little about a tail."""
LEAST_GAIN = 0.03
"""A candidate must beat the current policy by this share, or it is noise."""
MOST_ERROR = 0.3
"""A replay of what was really served, whose latency is off by more, decides nothing."""
CLOSE = 0.03
MOST_TRIES = 5
"""Mean latency of that replay is fitted by the speed of the engines: to this, in so many tries."""
USUAL_SLOPE, MOST_SLOPE = 3.0, 30.0
"""By how many per cent mean latency grows if engines are slower by one: the longer the queue, the
more. Never by less than one."""


class Replayed(msgspec.Struct, frozen=True):
    """One candidate on the recent traffic."""

    policy: str
    mean_s: float
    p99_s: float
    missed: float
    """By which share the worst SLO is missed; 0: all are met, or none was given."""
    keeps_tail: bool
    """Whether its p99 is within the promise, and its mean no worse than that of fcfs."""


class Evidence(msgspec.Struct, frozen=True):
    """Latency of the requests that were answered, as served and in a replay of just that."""

    served_mean_s: float
    replayed_mean_s: float
    served_p99_s: float
    replayed_p99_s: float

    @property
    def error(self) -> float:
        """By which share the replay is off, where it is worst."""
        pairs = (
            (self.served_mean_s, self.replayed_mean_s),
            (self.served_p99_s, self.replayed_p99_s),
        )
        return max(max(pair) / min(pair) for pair in pairs) - 1.0


class Choice(msgspec.Struct, frozen=True):
    """The policy to serve with from now on, and why."""

    policy: str
    reason: str
    urgent: bool = False
    """The current policy breaks the promise: another replay need not agree."""
    requests: int = 0
    evidence: Evidence | None = None
    """None: nothing was replayed."""
    replayed: list[Replayed] = []


@dataclass(frozen=True)
class _Replay:
    """Replays one piece of traffic."""

    recent: Recent
    sites: Sequence[Site]
    settings: SchedulerSettings
    objective: Objective
    prediction: str

    def under(self, policy: str, steering: Steering = UNSTEERED) -> tuple[Measures, Outcome]:
        """Only of the requests that are scored."""
        trace, scored = self.recent.trace, self.recent.scored
        predictions = predictions_of(self.prediction, trace)
        settings = replace(self.settings, policy=policy)
        outcome = simulate(trace, self.sites, settings, predictions, steering=steering)
        outcome = outcome.rows(scored)
        limits = self.objective.request
        return measures_of(trace.rows(scored), outcome, self.sites, limits), outcome

    def as_served(self) -> tuple[_Replay, Evidence]:
        """This replay over engines as fast as they really were, and how well it repeats that.

        Waits depend on the speed so much that a profile of single answers is not good enough. So
        the speed is the one at which mean latency is what it was.
        """
        policies = self.recent.policies
        first = policies[0][1] if policies else self.settings.policy
        served_s = self.recent.latency_s[self.recent.scored]
        tried: list[tuple[float, float]] = []
        slower = 1.0
        while True:
            sites = [replace(site, profile=site.profile.slower(slower)) for site in self.sites]
            replay = replace(self, sites=sites)
            _, outcome = replay.under(first, AsServed(policies))
            both = np.isfinite(served_s) & outcome.finished
            served, replayed = (Distribution.of(one[both]) for one in (served_s, outcome.latency_s))
            if not served.mean > 0.0:
                raise SimulationError("none of the requests to replay was answered in full")
            off = log(replayed.mean / served.mean)
            if not tried or abs(off) < min(abs(before) for _, before in tried):
                evidence = Evidence(served.mean, replayed.mean, served.p99, replayed.p99)
                best = replay, evidence
            tried.append((log(slower), off))
            if abs(off) < CLOSE or len(tried) == MOST_TRIES:
                return best
            slower = _next_slower(tried)


def _next_slower(tried: Sequence[tuple[float, float]]) -> float:
    """Where a line through the last two errors is 0; both are logarithms."""
    (at, off) = tried[-1]
    slope = USUAL_SLOPE
    if len(tried) > 1:
        before, off_before = tried[-2]
        slope = min(MOST_SLOPE, max(1.0, (off - off_before) / (at - before)))
    return exp(at - off / slope)


def choose(
    recent: Recent,
    sites: Sequence[Site],
    settings: SchedulerSettings,
    current: str,
    objective: Objective = NOTHING,
    candidates: Sequence[str] = CANDIDATES,
    prediction: str = "logged",
) -> Choice:
    """Replay recent traffic under each candidate, and choose.

    The best is the one with the least mean latency whose p99 latency is at most
    `settings.boost.tail` times that of fcfs; with targets, of those that meet them. It replaces
    the current policy only if it is better by LEAST_GAIN, or if the current one breaks the promise.
    Where no policy meets the targets, a current one that keeps the promise stays. Before, the
    traffic is replayed under the policies that really served it: if that is off by more than
    MOST_ERROR, nothing is chosen.

    Args:
        recent: traffic.
        sites: what it runs on.
        settings: of the scheduler, without its policy.
        current: the policy in use.
        objective: of an SLO, or none.
        candidates: policies to try; fcfs and the current one are always tried.
        prediction: what the policies know of lengths.

    Raises:
        SimulationError: the trace holds no predictions, or a request fits no engine.
    """
    count = int(recent.scored.sum())
    if count < LEAST_REQUESTS:
        reason = f"{count} requests say too little; {LEAST_REQUESTS} are needed"
        return Choice(current, f"stays: {reason}", requests=count)
    traffic = _Replay(recent, sites, settings, objective, prediction)
    replay, evidence = traffic.as_served()
    if evidence.error > MOST_ERROR:
        reason = (
            f"stays: the last {count} requests had a mean latency of {evidence.served_mean_s:.3g} s"
            f" and a p99 of {evidence.served_p99_s:.3g} s, and in a replay of how they were served "
            f"{evidence.replayed_mean_s:.3g} s and {evidence.replayed_p99_s:.3g} s: too far off to "
            "decide"
        )
        return Choice(current, reason, False, count, evidence)
    tail = settings.boost.tail
    measures = {
        name: replay.under(name)[0] for name in dict.fromkeys((REFERENCE, *candidates, current))
    }
    first = measures[REFERENCE]
    replayed = {
        name: _replayed(name, one, first, tail, objective) for name, one in measures.items()
    }
    best = min(replayed.values(), key=_worth)
    now = replayed[current]
    chosen = best.policy
    unmet = ""
    if best.missed > 0.0:
        unmet = f"no policy meets the SLO; {best.policy} misses it least, by {best.missed:.0%}"
    if unmet and now.keeps_tail:
        chosen, reason = current, f"stays: {unmet}"
    elif chosen == current:
        reason = f"stays: nothing tried is better on the last {count} requests"
    elif now.keeps_tail and _gain(now, best, bool(objective.targets)) < LEAST_GAIN:
        chosen, reason = current, f"stays: {best.policy} would gain less than {LEAST_GAIN:.0%}"
    else:
        reason = _reason(now, best, replayed[REFERENCE], count)
    if unmet and chosen != current:
        reason += f"; {unmet}"
    urgent = not now.keeps_tail
    return Choice(chosen, reason, urgent, count, evidence, list(replayed.values()))


def _replayed(
    policy: str, measures: Measures, first: Measures, tail: float, objective: Objective
) -> Replayed:
    latency_s = measures.latency_s
    return Replayed(
        policy=policy,
        mean_s=latency_s.mean,
        p99_s=latency_s.p99,
        missed=objective.missed(measures),
        keeps_tail=policy in (REFERENCE, KEEPS_ITS_PROMISE)
        or (
            latency_s.p99 <= tail * first.latency_s.p99
            and latency_s.mean <= first.latency_s.mean
            and measures.rejected <= first.rejected
        ),
    )


def _reason(now: Replayed, best: Replayed, reference: Replayed, requests: int) -> str:
    """What the change is expected to bring."""
    broken = "" if now.keeps_tail else f"{now.policy} does not keep its promise; "
    return (
        f"{broken}mean latency {best.mean_s:.3g} s instead of {now.mean_s:.3g} s, p99 "
        f"{best.p99_s:.3g} s instead of {now.p99_s:.3g} s, replayed on the last {requests} "
        f"requests (fcfs: {reference.mean_s:.3g} s and {reference.p99_s:.3g} s)"
    )


def _worth(one: Replayed) -> tuple[bool, float, float]:
    """Smallest first."""
    return not one.keeps_tail, one.missed, one.mean_s


def _gain(now: Replayed, best: Replayed, by_target: bool) -> float:
    """By which share `best` is better."""
    if by_target and now.missed > best.missed:
        return now.missed - best.missed
    return 1.0 - best.mean_s / now.mean_s if now.mean_s > 0.0 else 0.0
