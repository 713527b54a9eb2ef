"""Engines as a list in text, `a*2,b`: how many of which profile, and what each costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from headway.core.fleet.scaling import Scaling
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.request_log import answered
from headway.lab.simulation.logged_profile import logged_sites
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.profiles import load_profile
from headway.lab.simulation.site import Site

LOGS = (".db", ".sqlite")
"""Files that are request logs."""
MOST_ENGINES = 10_000
"""Limit on the engines of one profile."""


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
                f"`headway plan` finds the number of engines, and {part!r} gives one; write {name}"
            )
    free = [name for name, site in sites.items() if not site.profile.price_per_hour]
    if free and len(free) < len(sites):
        raise SimulationError(
            f"engines are compared by price, and {', '.join(free)} has none; give one for "
            f"each with --price, or for none"
        )
    return list(sites.values())


def _engines(profiles: str, price: str) -> Iterator[tuple[str, Profile, int]]:
    """The name as given, the profile with its price, and the count of each part of `profiles`."""
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
                f"{part!r} is more engines than can be simulated; name at most "
                f"{MOST_ENGINES:,}, and take a part of the traffic"
            )
        counts.append((name, int(count)))
    prices = _prices(price, [name for name, _ in counts])
    for name, engines in counts:
        for label, found in _profiles(name):
            per_hour = prices.get(name, prices.get("", found.price_per_hour))
            yield label, replace(found, price_per_hour=per_hour), engines


def _profiles(name: str) -> list[tuple[str, Profile]]:
    """A profile with its name; of a request log, one for each backend, fitted to its answers."""
    path = Path(name)
    if path.suffix not in LOGS or not path.is_file():
        return [(name, load_profile(name))]
    return [(site.name, site.profile) for site in logged_sites(answered(path), {})]


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
