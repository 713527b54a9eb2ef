"""The traffic of a simulation: recorded or generated traces, at a chosen rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.generated import Recipe, is_recipe
from headway.lab.simulation.importers.loading import load_traces
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import seconds
from headway.lab.simulation.trace import Trace

MADE = 1000
"""Requests of a generated trace, by default."""


def traces_of(
    trace: str,
    sites: Sequence[Site],
    *,
    last: str = "",
    requests: int = 0,
    faster: float = 1.0,
    load: float = 0.0,
    prompt: str = Recipe.prompt,
    output: str = Recipe.output,
    seeds: int = 1,
) -> list[Trace]:
    """One trace for each seed: made or drawn, or the recorded one every time.

    Args:
        trace: a file or folder, or arrivals to be made.
        sites: what `load` is relative to.
        last: only the newest part of what was recorded, as `1h`; empty: all.
        requests: at most so many; 0: all, or MADE.
        faster: arrivals come so many times faster.
        load: they are scaled to this share of what `sites` can take; 0: they are not.
        prompt, output: lengths of what is made.
        seeds: how many.

    Raises:
        SimulationError: the trace cannot be read or made.
    """
    if is_recipe(trace):
        if last:
            raise SimulationError(
                f"--last is for recorded traffic, and {trace} is made; leave it out"
            )
        recipe = Recipe(trace, prompt, output, requests or MADE)
        traces = [recipe.make(seed) for seed in range(seeds)]
    else:
        found = load_traces(Path(trace), seeds, requests)
        if last:
            found = [one.newest(seconds(last)) for one in found]
        traces = [one.first(requests) for one in found] if requests else found
    if load:
        traces = [at_load(one, capacity_rps(one, sites), load) for one in traces]
    elif faster != 1.0:
        traces = [one.faster(faster) for one in traces]
    return traces * (seeds // len(traces))
