"""How sites make a cluster: who gets which request, and who is on when."""

from __future__ import annotations

from dataclasses import dataclass, field

from headway.lab.simulation.failures import Failures
from headway.lab.simulation.routing import SHARED
from headway.lab.simulation.scaling import Scaling


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything about a cluster but its sites. As it is: one queue, and all are always on."""

    routing: str = SHARED
    """One of `routing.KINDS`."""
    scaling: Scaling | None = None
    """None: all sites are on from the beginning to the end."""
    failures: Failures = field(default_factory=Failures)
    seed: int = 0
    """Of random failures: equal seeds fail alike."""
