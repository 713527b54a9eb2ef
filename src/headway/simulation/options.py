"""What the commands of the simulator share: engines, settings and traffic from their options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings, TierSettings
from headway.simulation.errors import SimulationError
from headway.simulation.foresight import KINDS
from headway.simulation.generated import ARRIVALS, Recipe, is_recipe
from headway.simulation.importers import load_traces
from headway.simulation.load import at_load, capacity_rps
from headway.simulation.profiles import load_profile
from headway.simulation.scaling import Scaling
from headway.simulation.site import Site
from headway.simulation.trace import Trace

TraceText = Annotated[
    str, typer.Argument(help=f"A trace file, folder or request log; or made: {ARRIVALS}.")
]
Prediction = Annotated[str, typer.Option(help=f"What is foretold of lengths: {KINDS}.")]
Engines = Annotated[
    str, typer.Option(help="Engines: profiles that ship or files, as a*2,b for two and one.")
]
Slots = Annotated[
    int, typer.Option(min=0, help="Requests at once on each; 0: as its profile says.")
]
Price = Annotated[
    str, typer.Option(help="Of an engine's hour, as 2.5, or by profile, as a=2.5,b=1.")
]
Faster = Annotated[float, typer.Option(help="Arrivals come so many times faster.")]
ColdStart = Annotated[float, typer.Option(min=0, help="Seconds that a replica takes to start.")]
Idle = Annotated[
    float, typer.Option(min=0, help="Seconds until one that is not needed is drained.")
]
BacklogTarget = Annotated[
    float, typer.Option(min=0, help="Seconds of waiting work a slot that start another one.")
]
Requests = Annotated[
    int, typer.Option(min=0, help="Only so many; 0: all, or 1,000 where they are made.")
]

DEFAULT_PROFILE = "smollm2-135m-2-cores"
MADE = 1000
"""Requests of a trace that is made, where nobody says."""


def names_in(text: str) -> list[str]:
    """What stands between commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def sites_of(
    profiles: str, slots: int = 0, price: str = "", scaling: Scaling | None = None
) -> list[Site]:
    """Engines from `NAME`, `NAME*COUNT` and commas; their price from `2.5` or `NAME=2.5`.

    With `scaling` as many as it may start.

    Raises:
        SimulationError: a profile, a count or a price is not one, or several are to scale.
    """
    if scaling is not None:
        if "," in profiles or "*" in profiles:
            raise SimulationError(
                f"--scale starts replicas of one engine, and {profiles!r} are several; name one"
            )
        profiles += f"*{scaling.most}"
    prices = _prices(price)
    sites: list[Site] = []
    for part in names_in(profiles):
        name, star, count = part.rpartition("*")
        if not star:
            name, count = part, "1"
        if not count.isdecimal() or not int(count):
            raise SimulationError(f"cannot read {part!r}; write NAME or NAME*COUNT")
        found = load_profile(name)
        per_hour = prices.get(name, prices.get("", found.price_per_hour))
        found = replace(found, price_per_hour=per_hour)
        for _ in range(int(count)):
            sites.append(Site(f"{found.name}-{len(sites) + 1}", found, slots))
    if not sites:
        raise SimulationError("a simulation needs an engine; name its profile")
    return sites


def _prices(text: str) -> dict[str, float]:
    """By profile; under the empty name that of all others."""
    prices = {}
    for part in names_in(text):
        name, _, price = part.rpartition("=")
        try:
            prices[name] = float(price)
        except ValueError:
            prices[name] = -1.0
        if not 0.0 <= prices[name] < float("inf"):
            raise SimulationError(f"cannot read the price {part!r}; write 2.5, or NAME=2.5")
    return prices


def settings_of(max_wait_s: float = 0.0, fairness: str = "off") -> SchedulerSettings:
    """The scheduler's settings but for its policy. A `max_wait_s` of 0 is none.

    Raises:
        SimulationError: there is no such fairness.
    """
    if fairness not in ("off", "vtc", "drr"):
        raise SimulationError(f"no fairness {fairness!r}; there are off, vtc, drr")
    bound = TierSettings(max_wait_s=max_wait_s) if max_wait_s else TierSettings()
    return SchedulerSettings(
        policy="fcfs",
        tiers=dict.fromkeys(Tier, bound),
        fairness=fairness,  # type: ignore[arg-type]
    )


def traces_of(
    trace: str,
    sites: Sequence[Site],
    *,
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
        requests: at most so many; 0: all, or MADE.
        faster: arrivals come so many times faster.
        load: they are scaled to this share of what `sites` can take; 0: they are not.
        prompt, output: lengths of what is made.
        seeds: how many.

    Raises:
        SimulationError: the trace cannot be read or made.
    """
    if is_recipe(trace):
        recipe = Recipe(trace, prompt, output, requests or MADE)
        traces = [recipe.make(seed) for seed in range(seeds)]
    else:
        found = load_traces(Path(trace), seeds)
        traces = [one.first(requests) for one in found] if requests else found
    if load:
        traces = [at_load(one, capacity_rps(one, sites), load) for one in traces]
    elif faster != 1.0:
        traces = [one.faster(faster) for one in traces]
    return traces * (seeds // len(traces))
