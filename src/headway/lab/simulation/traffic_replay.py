"""Replays recent traffic of a gateway, over engines as fast as they really were."""

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
from headway.lab.simulation.slo import Objective
from headway.lab.simulation.steering import Steering

MOST_ERROR = 0.3
"""A replay of what was really served, whose latency is off by more, decides nothing."""
CLOSE = 0.03
MOST_TRIES = 5
"""Mean latency of that replay is fitted by the speed of the engines: to this, in so many tries."""
USUAL_SLOPE, MOST_SLOPE = 3.0, 30.0
"""By how many per cent mean latency grows if engines are slower by one: the longer the queue, the
more. Never by less than one."""


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


@dataclass(frozen=True)
class TrafficReplay:
    """Replays one piece of traffic.

    Args:
        recent: traffic.
        sites: what it runs on.
        settings: of the scheduler, without its policy.
        objective: of an SLO, or none.
        prediction: what the policies know of lengths.
    """

    recent: Recent
    sites: Sequence[Site]
    settings: SchedulerSettings
    objective: Objective
    prediction: str

    def under(self, policy: str, steering: Steering = UNSTEERED) -> tuple[Measures, Outcome]:
        """Only of the requests that are scored."""
        trace, scored = self.recent.trace, np.flatnonzero(self.recent.scored)
        predictions = predictions_of(self.prediction, trace)
        settings = replace(self.settings, policy=policy)
        outcome = simulate(trace, self.sites, settings, predictions, steering=steering)
        outcome = outcome.rows(scored)
        limits = self.objective.request
        return measures_of(trace.rows(scored), outcome, self.sites, limits), outcome

    def as_served(self) -> tuple[TrafficReplay, Evidence]:
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
