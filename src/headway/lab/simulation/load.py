"""The capacity of engines, and traces scaled to a share of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.predictions import FromHistory
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

PROBED = 4000
"""Requests of a trace that its capacity is measured with."""


def capacity_rps(trace: Trace, sites: Sequence[Site]) -> float:
    """Requests of this trace per second that the engines finish if they are never idle.

    Measured with the first PROBED requests at once, first come first served, between the first
    and the last tenth of completions, so that neither start nor end counts. Deadlines
    are ignored: a request that misses one would not be counted.
    """
    probe = trace.first(PROBED)
    at_once = replace(
        probe,
        arrival_s=np.zeros(len(probe)),
        after=np.empty(0, np.int64),
        joins=(),
        deadline_s=np.empty(0),
        run_deadline_s=np.empty(0),
    )
    fcfs = SchedulerSettings(policy="fcfs")
    ended_s = np.sort(simulate(at_once, sites, fcfs, FromHistory(at_once)).ended_s)
    low, high = len(ended_s) // 10, len(ended_s) * 9 // 10
    if high <= low or ended_s[high] <= ended_s[low]:
        return len(ended_s) / float(ended_s[-1])
    return float((high - low) / (ended_s[high] - ended_s[low]))


def at_load(trace: Trace, capacity: float, load: float) -> Trace:
    """The trace, scaled to `load` times a capacity in requests/s."""
    rate = len(trace) / max(trace.span_s, 1e-9)
    return trace.faster(load * capacity / rate)
