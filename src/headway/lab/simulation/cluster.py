"""A cluster of sites: routing, scaling and failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from headway.core.fleet.scaling import Scaling, least_and_most
from headway.core.routing import SHARED
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.failures import Failures
from headway.lab.simulation.gateways import Sharing


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster without its sites; by default one queue, and all sites are always on."""

    routing: str = SHARED
    """One of `routing.KINDS`."""
    scaling: Scaling | None = None
    """None: all sites are always on."""
    failures: Failures = field(default_factory=Failures)
    seed: int = 0
    """Of random failures, and of which gateway gets which request."""
    sharing: Sharing | None = None
    """Several gateways share all sites; None: there is one."""


def parse_scaling(
    text: str, cold_start_s: float, idle_s: float, backlog_s: float
) -> Scaling | None:
    """From `LEAST..MOST` and times in seconds; None from an empty text: all are always on.

    Raises:
        SimulationError: it cannot be read.
    """
    if not text:
        return None
    try:
        least, most = least_and_most(text)
    except ValueError as error:
        raise SimulationError(str(error)) from None
    if not (cold_start_s >= 0.0 and idle_s > 0.0 and backlog_s > 0.0):
        raise SimulationError("--idle and --backlog are seconds above 0, --cold-start from 0 on")
    return Scaling(least, most, cold_start_s, idle_s, backlog_s)


def parse_sharing(gateways: int, delay_ms: float, routings: Sequence[str]) -> Sharing | None:
    """How so many gateways share all sites; None where there is one.

    Raises:
        SimulationError: a delay or a routing is asked for that is not for several gateways.
    """
    if gateways == 1:
        if delay_ms:
            raise SimulationError("a --gateway-delay is between gateways; add --gateways 3")
        return None
    if list(routings) != [SHARED]:
        raise SimulationError(
            f"several gateways share all engines, as with the routing {SHARED}; leave out --routing"
        )
    return Sharing(gateways, delay_ms / 1000.0)
