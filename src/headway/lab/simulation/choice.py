"""Which policy to serve with next: recent traffic, replayed under each candidate."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.measures import Measures
from headway.lab.simulation.recent import Recent
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import NOTHING, Objective, share_of
from headway.lab.simulation.traffic_replay import MOST_ERROR, Evidence, TrafficReplay

REFERENCE = "fcfs"
CANDIDATES = (REFERENCE, "sjf", "srpt", "hrrn", "boost")
KEEPS_ITS_PROMISE = "boost"
"""It is steered by the same promise on live traffic: a replay, cut out of that, breaks it by
chance."""
LEAST_REQUESTS = 200
"""Fewer say too little about a tail."""
LEAST_GAIN = 0.03
"""A candidate must beat the current policy by this share, or it is noise."""


class Replayed(msgspec.Struct, frozen=True):
    """One candidate on the recent traffic."""

    policy: str
    mean_s: float
    p99_s: float
    missed: float
    """By which share the worst SLO is missed; 0: all are met, or none was given."""
    keeps_tail: bool
    """Whether its p99 is within the promise, and its mean no worse than that of fcfs."""


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


def choose(
    recent: Recent,
    sites: Sequence[Site],
    settings: SchedulerSettings,
    current: str,
    objective: Objective = NOTHING,
) -> Choice:
    """Replay recent traffic, with the predictions in its log, under each candidate, and choose.

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

    Raises:
        SimulationError: the trace holds no predictions, or a request fits no engine.
    """
    count = int(recent.scored.sum())
    if count < LEAST_REQUESTS:
        reason = f"{count} requests say too little; {LEAST_REQUESTS} are needed"
        return Choice(current, f"stays: {reason}", requests=count)
    traffic = TrafficReplay(recent, sites, settings, objective, "logged")
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
    measures = {name: replay.under(name)[0] for name in dict.fromkeys((*CANDIDATES, current))}
    first = measures[REFERENCE]
    replayed = {
        name: _replayed(name, one, first, tail, objective) for name, one in measures.items()
    }
    best = min(replayed.values(), key=_worth)
    now = replayed[current]
    chosen = best.policy
    unmet = ""
    if best.missed > 0.0:
        unmet = (
            f"no policy meets the SLO; {best.policy} misses it least, by {share_of(best.missed)}"
        )
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
