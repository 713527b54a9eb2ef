"""Another policy while a simulation runs, as `policy: auto` takes it while a gateway runs."""

from __future__ import annotations

from math import inf
from typing import Protocol

from headway.lab.simulation.outcome import Outcome


class Steering(Protocol):
    """Chooses policies on virtual time."""

    next_s: float
    """When it wants to choose next."""

    def policy(self, now_s: float, so_far: Outcome) -> str:
        """The policy from now on; sets `next_s`.

        Args:
            now_s: virtual time.
            so_far: what has happened until now; NaN for what has not.
        """
        ...


class Unsteered:
    """The policy of the settings, to the end."""

    next_s = inf

    def policy(self, now_s: float, so_far: Outcome) -> str:
        raise AssertionError("it never wants to choose")
