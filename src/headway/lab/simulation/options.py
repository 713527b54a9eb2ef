"""What the commands of the simulator share: engines, settings and traffic from their options."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings, TierSettings
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.foresight import KINDS
from headway.lab.simulation.generated import ARRIVALS, Recipe, is_recipe
from headway.lab.simulation.importers import load_traces
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.profiles import load_profile
from headway.lab.simulation.scaling import Scaling
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

MOST_ENGINES = 10_000
"""Of one profile."""

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
Load = Annotated[
    float, typer.Option(min=0, help="Scale arrivals to this share of capacity; 0: as they are.")
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
    sites: list[Site] = []
    for _, found, count in _engines(profiles, price):
        for _ in range(count):
            sites.append(Site(f"{found.name}-{len(sites) + 1}", found, slots))
    return sites


def choices_of(profiles: str, slots: int = 0, price: str = "") -> list[Site]:
    """One engine of each profile, to choose from; named as it was given, since two machines with
    the same model have profiles of the same name.

    Raises:
        SimulationError: a profile or a price is not one, how many there are is said, or only some
            of them have a price.
    """
    sites: dict[str, Site] = {}
    for name, found, _ in _engines(profiles, price):
        sites[name] = Site(name, found, slots)
    for part in names_in(profiles):
        name, star, _ = part.rpartition("*")
        if star:
            raise SimulationError(
                f"how many engines there should be is the question, and {part!r} says it; "
                f"write {name}"
            )
    free = [name for name, site in sites.items() if not site.profile.price_per_hour]
    if free and len(free) < len(sites):
        raise SimulationError(
            f"engines are compared by their price, and {', '.join(free)} has none beside the "
            f"others'; say one of each with --price, or of none"
        )
    return list(sites.values())


def _engines(profiles: str, price: str) -> Iterator[tuple[str, Profile, int]]:
    """What `NAME`, `NAME*COUNT` and commas name: as it was given, with its price, how many."""
    parts = names_in(profiles)
    if not parts:
        raise SimulationError("a simulation needs an engine; name its profile")
    counts: list[tuple[str, int]] = []
    for part in parts:
        name, star, count = part.rpartition("*")
        if not star:
            name, count = part, "1"
        if not count.isdecimal() or not int(count):
            raise SimulationError(f"cannot read {part!r}; write NAME or NAME*COUNT")
        if int(count) > MOST_ENGINES:
            raise SimulationError(
                f"{part!r} is more engines than are simulated at once; name at most "
                f"{MOST_ENGINES:,}, and a part of the traffic"
            )
        counts.append((name, int(count)))
    prices = _prices(price, [name for name, _ in counts])
    for name, engines in counts:
        found = load_profile(name)
        per_hour = prices.get(name, prices.get("", found.price_per_hour))
        yield name, replace(found, price_per_hour=per_hour), engines


def _prices(text: str, profiles: Sequence[str]) -> dict[str, float]:
    """By profile; under the empty name that of all others."""
    prices: dict[str, float] = {}
    for part in names_in(text):
        name, _, price = part.rpartition("=")
        try:
            prices[name] = float(price)
        except ValueError:
            prices[name] = -1.0
        if not 0.0 <= prices[name] < float("inf"):
            raise SimulationError(f"cannot read the price {part!r}; write 2.5, or NAME=2.5")
        if name and name not in profiles:
            raise SimulationError(
                f"the price {part!r} is of no profile here; there are "
                f"{', '.join(dict.fromkeys(profiles))}"
            )
    return prices


def check_writable(files: Mapping[str, Path | None]) -> None:
    """Whether what is asked for can be written, told before minutes of work and not after them.

    Args:
        files: by the option that names it; None: it was not given.

    Raises:
        SimulationError: one of them cannot; the message names the option.
    """
    for option, file in files.items():
        if file is None:
            continue
        problem = ""
        if file.is_dir():
            problem = "it is a folder; name a file in it"
        elif not file.parent.is_dir():
            problem = f"there is no folder {file.parent}; make it first"
        elif not os.access(file if file.exists() else file.parent, os.W_OK):
            problem = "you may not write there; name another file"
        if problem:
            raise SimulationError(f"{option} cannot write {file}: {problem}")


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


def served_settings() -> SchedulerSettings:
    """What `headway serve` runs with where nothing is said, but for the policy.

    Bounds and queues here are those of `headway.config`, which this layer may not import.
    """
    return SchedulerSettings(
        policy="fcfs",
        tiers={
            Tier.INTERACTIVE: TierSettings(max_wait_s=120.0, max_queue=10_000, weight=16.0),
            Tier.STANDARD: TierSettings(max_wait_s=600.0, max_queue=10_000, weight=4.0),
            Tier.BATCH: TierSettings(max_wait_s=3600.0, max_queue=100_000, weight=1.0),
        },
        max_queue=100_000,
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
