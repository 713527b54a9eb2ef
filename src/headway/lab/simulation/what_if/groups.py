"""Who would be served better, and who worse: requests that are alike, before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal

import msgspec
import numpy as np

from headway.lab.report.figures import figures
from headway.lab.report.sections import listed
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.trace import Trace

MOST_TENANTS = 8
LEAST_REQUESTS = 10
"""Of a group: fewer say too little about a mean."""
NOISE = 0.03
"""A smaller change of a mean is none."""
MOST_NAMED = 3
"""Groups in a sentence."""


class Group(msgspec.Struct, frozen=True):
    """Requests that are alike, and their mean latency."""

    who: str
    requests: int
    now_s: float
    then_s: float
    change: float
    """By which share it grows."""
    verdict: Literal["better", "worse", ""]
    """Empty: the change is noise."""

    @classmethod
    def of(cls, who: str, requests: int, now_s: float, then_s: float) -> Group:
        """The group, with what its means come to."""
        change = then_s / now_s - 1.0 if now_s > 0.0 else 0.0
        return cls(who, requests, now_s, then_s, change, _verdict(change))


def groups_of(trace: Trace, now: Outcome, then: Outcome) -> list[Group]:
    """The requests by length of their answers, by tier and by tenant, where there are several.

    Args:
        trace: what both served.
        now: as it is.
        then: as it would be.
    """
    both = now.finished & then.finished
    found = []
    for who, members in _members(trace):
        of = members & both
        if of.sum() >= LEAST_REQUESTS:
            means_s = (float(outcome.latency_s[of].mean()) for outcome in (now, then))
            found.append(Group.of(who, int(of.sum()), *means_s))
    return found


def who_loses(groups: list[Group]) -> str:
    """A clause that names those who are worse off, the hardest hit first; empty: nobody is."""
    worse = sorted((one for one in groups if one.verdict == "worse"), key=lambda one: -one.change)
    more = len(worse) - MOST_NAMED
    named = [
        f"{one.who} ({figures(one.then_s)} s instead of {figures(one.now_s)} s)"
        for one in worse[:MOST_NAMED]
    ]
    return listed([*named, f"{more} more"] if more > 0 else named) if named else ""


def _verdict(change: float) -> Literal["better", "worse", ""]:
    if abs(change) <= NOISE:
        return ""
    return "worse" if change > 0.0 else "better"


def _members(trace: Trace) -> Iterator[tuple[str, np.ndarray]]:
    tokens = trace.output_tokens
    half, long = (int(places) for places in np.quantile(tokens, (0.5, 0.9)))
    if half < long:
        yield f"answers of up to {half:,} tokens", tokens <= half
        yield f"answers of {half + 1:,} to {long:,} tokens", (tokens > half) & (tokens <= long)
        yield f"answers of more than {long:,} tokens", tokens > long
    tiers = list(trace.tiers)
    for tier in sorted(set(tiers)) if len(set(tiers)) > 1 else ():
        yield f"tier {tier.label}", np.array([one is tier for one in tiers])
    tenants = Counter(trace.tenants)
    for tenant, _ in tenants.most_common(MOST_TENANTS) if len(tenants) > 1 else ():
        name = f"tenant {tenant}" if tenant else "requests without a tenant"
        yield name, np.array([one == tenant for one in trace.tenants])
