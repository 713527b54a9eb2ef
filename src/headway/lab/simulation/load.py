"""The capacity of engines, and traces scaled to a share of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import gcd

import numpy as np

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.predictions import FromHistory
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

PROBED = 4000
"""Requests of a trace that its capacity is measured with."""
ROUNDS = 10
"""Least number of requests for each slot: as the last ones run, slots are left empty, and that is
to be the last tenth."""


def capacity_rps(trace: Trace, sites: Sequence[Site]) -> float:
    """Requests of this trace per second that the engines finish if they are never idle.

    Measured with the first PROBED requests at once, over and over where they are too few, first
    come first served, between the first and the last tenth of completions, so that neither start
    nor end counts. Tiers and deadlines are ignored: one tier after the other, and without requests
    that miss a deadline, it would not be the capacity for all of them.
    """
    kinds = Counter((site.profile, site.slots) for site in sites)
    times = gcd(*kinds.values())
    some: list[Site] = []
    for (profile, slots), count in kinds.items():
        some += [Site(f"{len(some) + n}", profile, slots) for n in range(count // times)]
    probe = _at_once(trace.first(PROBED), ROUNDS * sum(site.backend.slots for site in some))
    fcfs = SchedulerSettings(policy="fcfs")
    ended_s = np.sort(simulate(probe, some, fcfs, FromHistory(probe)).ended_s)
    between_s = ended_s[[len(ended_s) // 10, len(ended_s) * 9 // 10]]
    low, high = np.searchsorted(ended_s, between_s, side="right")  # many may end at one moment
    return times * float((high - low) / (between_s[1] - between_s[0]))


def _at_once(trace: Trace, least: int) -> Trace:
    """At least so many requests at time 0, in whole rounds of the trace; what they share of their
    prompts they share within a round."""
    rounds = -(-least // len(trace)) if least > len(trace) else 1
    blocks = {block for hashes in trace.prefix_hashes for block in hashes}
    apart = max(blocks, default=0) - min(blocks, default=0) + 1
    return Trace(
        trace.name,
        np.zeros(rounds * len(trace)),
        np.tile(trace.prompt_tokens, rounds),
        np.tile(trace.output_tokens, rounds),
        programs=[one and f"{one} {n}" for n in range(rounds) for one in trace.programs],
        shared_tokens=np.tile(trace.shared_tokens, rounds),
        prefix_hashes=[
            tuple(block + n * apart for block in hashes)
            for n in range(rounds)
            for hashes in trace.prefix_hashes
        ],
    )


def at_load(trace: Trace, capacity: float, load: float) -> Trace:
    """The trace, scaled to `load` times a capacity in requests/s.

    Raises:
        SimulationError: all requests come at once, at whatever rate.
    """
    if not trace.span_s:
        raise SimulationError(
            f"all requests of {trace.name} come at once, so their arrivals cannot be scaled to a "
            f"load; leave it out, or give them times with `headway trace scale --arrivals`"
        )
    rate = len(trace) / trace.span_s
    return trace.faster(load * capacity / rate)
