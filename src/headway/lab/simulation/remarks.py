"""What a reader has to know before the table of a simulation."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings
from headway.lab.report.figures import figures
from headway.lab.simulation.fair_prediction import Assumption
from headway.lab.simulation.load import capacity_rps
from headway.lab.simulation.measures import Measures
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

OVERLOAD = 1.2
"""Offered load from which a queue grows for as long as requests come."""
ALIKE = 1e-3
"""Results that differ by a smaller share are the same."""


def assumptions(sites: Sequence[Site], prediction: Assumption, settings: SchedulerSettings) -> str:
    """The sentence that names what nobody may have asked for: engine, prediction, bounds."""
    engines: dict[str, int] = {}
    for site in sites:
        name = f"{site.profile.name} with {site.backend.slots} slots"
        engines[name] = engines.get(name, 0) + 1
    named = ", ".join(f"{count} of {name}" for name, count in engines.items())
    waits_s = {tier.label: settings.tier(tier).max_wait_s for tier in Tier}
    bounds = {name: wait_s for name, wait_s in waits_s.items() if isfinite(wait_s)}
    if not bounds:
        bound = "none (`headway serve` has one: see --max-wait)"
    elif len(set(waits_s.values())) == 1:
        bound = f"{next(iter(bounds.values())):g} s"
    else:
        bound = ", ".join(f"{name} {wait_s:g} s" for name, wait_s in bounds.items())
    return f"Assumed: {named}; prediction {prediction}; starvation bound: {bound}."


def remarks(trace: Trace, sites: Sequence[Site], rows: Sequence[Measures]) -> list[str]:
    """Sentences about what makes the rows of a comparison say little.

    Args:
        trace: what was simulated.
        sites: on what.
        rows: the measures of each row.
    """
    found = []
    load = offered_load(trace, sites)
    if load is not None and load >= OVERLOAD:
        found.append(
            f"This is {figures(load)} times the traffic that these engines can take: the queue "
            "grows for as long as requests come, and so do the latencies below; see what they do "
            "within capacity with --load 0.9, or add engines."
        )
    means_s = [row.latency_s.mean for row in rows]
    if len(rows) > 1 and not any(row.wait_s.max > 0.0 for row in rows):
        found.append(
            "Nobody waited, so there was no choice to make, and all policies do the same: more "
            "traffic would show a difference, as --load 0.9."
        )
    elif len(rows) > 1 and max(means_s) - min(means_s) <= ALIKE * max(means_s):
        found.append(
            "All rows are equal: whoever waits is as long as the others, or nobody is overtaken; "
            "more traffic may show a difference, as --load 0.9."
        )
    return found


def offered_load(trace: Trace, sites: Sequence[Site]) -> float | None:
    """Requests that come, over those that the engines can finish in that time; None where the
    arrivals have no rate: all at once, or each after another's end."""
    if trace.span_s <= 0.0 or len(trace.after):
        return None
    return len(trace) / trace.span_s / capacity_rps(trace, sites)
