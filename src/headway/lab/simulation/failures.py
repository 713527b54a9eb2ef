"""Failures: scripted and random outages of backends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge

import numpy as np

from headway.lab.simulation.errors import SimulationError


@dataclass(frozen=True, slots=True, order=True)
class Outage:
    """A backend is down for a while; its KV memory is lost."""

    at_s: float
    """On the clock of the trace."""
    for_s: float


@dataclass(frozen=True, slots=True)
class Failures:
    """Scripted and random failures."""

    scripted: tuple[tuple[str, Outage], ...] = ()
    """By the name of the backend."""
    mtbf_s: float = 0.0
    """Mean time from a repair of a backend to its next failure; 0: no random failures."""
    repair_s: float = 0.0
    """Mean duration of such a failure. Both times are exponential."""

    def __bool__(self) -> bool:
        return bool(self.scripted or self.mtbf_s)

    def outages(self, names: Sequence[str], seed: int) -> list[Iterator[Outage]]:
        """The outages of each backend, in order; random ones never end.

        Raises:
            SimulationError: there is no such backend.
        """
        for name, _ in self.scripted:
            if name not in names:
                raise SimulationError(f"no backend {name!r} to fail; there are {', '.join(names)}")
        return [
            merge(
                sorted(outage for of, outage in self.scripted if of == name),
                self._random(np.random.default_rng((seed, number))),
            )
            for number, name in enumerate(names)
        ]

    def _random(self, rng: np.random.Generator) -> Iterator[Outage]:
        at_s = 0.0
        while self.mtbf_s:
            at_s += float(rng.exponential(self.mtbf_s))
            outage = Outage(at_s, float(rng.exponential(self.repair_s)))
            yield outage
            at_s += outage.for_s


def parse_failures(scripted: Sequence[str], mtbf_s: float, repair_s: float) -> Failures:
    """From `NAME@AT_S+FOR_S`, and means in seconds.

    Raises:
        SimulationError: one cannot be read, or only one of both means is given.
    """
    if bool(mtbf_s) != bool(repair_s):
        raise SimulationError("random failures need both: --mtbf 3600 --repair 120, in seconds")
    return Failures(tuple(map(_scripted, scripted)), mtbf_s, repair_s)


def _scripted(text: str) -> tuple[str, Outage]:
    name, _, times = text.rpartition("@")
    at, _, lasting = times.partition("+")
    try:
        outage = Outage(float(at), float(lasting))
        if not (name and 0.0 <= outage.at_s < float("inf") and 0.0 < outage.for_s < float("inf")):
            raise ValueError
    except ValueError:
        raise SimulationError(
            f"cannot read the failure {text!r}; write NAME@AT_S+FOR_S, as in a-1@60+30"
        ) from None
    return name, outage
