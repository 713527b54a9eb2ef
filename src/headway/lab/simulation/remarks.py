"""What a reader has to know before the table of a simulation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import isfinite

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings
from headway.lab.report.figures import figures
from headway.lab.report.sections import listed
from headway.lab.simulation.captured import LEAST_REQUESTS as LEAST_FOR_A_MEAN
from headway.lab.simulation.choice import LEAST_REQUESTS as LEAST_FOR_A_TAIL
from headway.lab.simulation.comparison import ORACLE, parts_of
from headway.lab.simulation.fair_prediction import Assumption
from headway.lab.simulation.load import capacity_rps
from headway.lab.simulation.measures import Measures
from headway.lab.simulation.result import SimulationResult
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

OVERLOAD = 1.2
"""Offered load from which a queue grows for as long as requests come."""
ALIKE = 1e-3
"""Results that differ by a smaller share are the same."""
COMPARED = tuple(product(("latency_s", "ttft_s"), ("mean", "p99")))
"""Numbers of rows that are the same."""


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


def headline(result: SimulationResult) -> str:
    """What the best policy of those that reject no more than `fcfs` does to mean latency and to the
    worst wait; empty where all are equal, or `fcfs` or another policy is missing."""
    rows = [label for label in result.runs if parts_of(label)[0] != ORACLE]
    fcfs = next((label for label in rows if parts_of(label)[0] == "fcfs"), None)
    if fcfs is None:
        return ""
    rejected = {label: result.mean(label, "rejected") for label in rows}
    rows = [label for label in rows if rejected[label] <= rejected[fcfs]]
    if _all_alike([_numbers(result, label) for label in rows]):
        return ""
    means_s = {label: result.mean(label, "latency_s", "mean") for label in rows}
    best_s = min(means_s.values())
    best = [label for label, mean_s in means_s.items() if mean_s <= (1.0 + ALIKE) * best_s]
    if fcfs in best:
        return f"No policy has a lower mean latency than {fcfs} here: {figures(best_s)} s."
    waits_s = [result.mean(label, "wait_s", "max") for label in (best[0], fcfs)]
    worst = f"; the worst wait is {figures(waits_s[0])} s, not {figures(waits_s[1])} s"
    return (
        f"{listed(best)} {'has' if len(best) == 1 else 'have'} "
        f"{best_s / means_s[fcfs]:.2f} times the mean latency of {fcfs} ({figures(best_s)} s, not "
        f"{figures(means_s[fcfs])} s){worst if any(waits_s) else ''}."
    )


def rejections(result: SimulationResult) -> list[str]:
    """A sentence where rows reject requests, and not as many."""
    rejected = {label: result.mean(label, "rejected") for label in result.runs}
    least, most = (pick(rejected, key=rejected.__getitem__) for pick in (min, max))
    if rejected[least] == rejected[most]:
        return []
    return [
        f"Latencies are of answered requests only: {least} rejected {rejected[least]:.0f} and "
        f"{most} {rejected[most]:.0f}, so compare goodput, not mean latency."
    ]


def equals(result: SimulationResult) -> list[str]:
    """A sentence for each group of rows that are the same, where not all are."""
    groups: dict[tuple[float, ...], list[str]] = {}
    for label in result.runs:
        numbers = _numbers(result, label)
        same = next((one for one in groups if _alike(one, numbers)), numbers)
        groups.setdefault(same, []).append(label)
    if len(groups) < 2:
        return []
    return [
        f"Equal here: {listed(labels)}; their latencies differ by less than {ALIKE:.1%}."
        for labels in groups.values()
        if len(labels) > 1
    ]


def _numbers(result: SimulationResult, label: str) -> tuple[float, ...]:
    return tuple(result.mean(label, *path) for path in COMPARED)


def _all_alike(rows: Sequence[Sequence[float]]) -> bool:
    return all(_alike(rows[0], row) for row in rows)


def _alike(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(abs(a - b) <= ALIKE * max(a, b) for a, b in zip(first, second, strict=True))


def left_out(trace: Trace) -> list[str]:
    """A sentence about recorded requests that the trace is without, if there are any."""
    if not trace.left_out:
        return []
    return [
        f"{trace.name} also holds {trace.left_out:,} requests without a whole answer, which are "
        "not replayed: the time that they took of the others is missing."
    ]


def few(requests: int) -> list[str]:
    """A sentence where so many requests say little."""
    if requests < LEAST_FOR_A_MEAN:
        return [f"{requests} requests say too little; {LEAST_FOR_A_MEAN} are needed."]
    if requests < LEAST_FOR_A_TAIL:
        return [f"{requests} requests say little about a p99; {LEAST_FOR_A_TAIL} are needed."]
    return []


def remarks(trace: Trace, sites: Sequence[Site], rows: Sequence[Measures]) -> list[str]:
    """Sentences about what makes the rows of a comparison say little.

    Args:
        trace: what was simulated.
        sites: on what.
        rows: the measures of each row.
    """
    found = []
    load = offered_load(trace, sites)
    waited = any(row.wait_s.max > 0.0 for row in rows)
    if load is not None and load >= OVERLOAD and waited:
        found.append(
            f"This is {figures(load)} times the traffic that these engines can take: the queue "
            "grows for as long as requests come, and so do all latencies; see what they do "
            "within capacity with --load 0.9, or add engines."
        )
    numbers = [[getattr(getattr(row, name), of) for name, of in COMPARED] for row in rows]
    equal = len(rows) > 1 and _all_alike(numbers)
    more = "more traffic" if load is None or load < OVERLOAD else "more requests"
    at = ", as --load 0.9" if trace.span_s and (load is None or load < 0.9) else ""
    if len(rows) > 1 and not waited and not equal:
        found.append(
            "Nobody waited, so no policy had a choice to make: rows differ only by which engine "
            f"got which request; {more} would show what policies do{at}."
        )
    elif equal and not waited:
        found.append(
            "Nobody waited, so there was no choice to make, and all policies do the same: "
            f"{more} would show a difference{at}."
        )
    elif equal:
        found.append(
            "All rows are equal: whoever waits is as long as the others, or nobody is overtaken; "
            f"{more} may show a difference{at}."
        )
    return found


def offered_load(trace: Trace, sites: Sequence[Site]) -> float | None:
    """Requests that come, over those that the engines can finish in that time; None where the
    arrivals have no rate: all at once, or each after another's end."""
    if trace.span_s <= 0.0 or len(trace.after):
        return None
    return len(trace) / trace.span_s / capacity_rps(trace, sites)
