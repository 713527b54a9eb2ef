"""Items that arrive: the same ones at every rate and for every setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.generated import Recipe

ARRIVALS = "poisson or gamma:CV (bursts where CV is above 1)"
NO_TOKENS = SizeEstimate.exactly(1)
"""Nothing is generated: an item ends with its batch."""


@dataclass(frozen=True, eq=False)
class Traffic:
    """Items in order of arrival, as columns of equal length."""

    arrivals: np.ndarray
    """Times at a rate of one item a second: by chance alone, bursts would miss it by far."""
    lengths: np.ndarray

    @classmethod
    def made(cls, arrivals: str, lengths: str, count: int, seed: int) -> Traffic:
        """Draw traffic with `seed`.

        Args:
            arrivals: one of ARRIVALS.
            lengths: a distribution, as `headway simulate --prompt` takes it.
            count: of items.
            seed: equal ones give equal traffic.

        Raises:
            SimulationError: there is no such process or distribution.
        """
        name, _, variation = arrivals.partition(":")
        if name not in ("poisson", "gamma"):
            raise SimulationError(f"cannot make arrivals {arrivals!r}; there are {ARRIVALS}")
        process = f"gamma:1@{variation}" if name == "gamma" else "poisson:1"
        trace = Recipe(process, lengths, "fixed:1", count).make(seed)
        return cls(trace.arrival_s * count / trace.arrival_s[-1], trace.prompt_tokens)

    def cut(self, shortest: int, longest: int | None) -> Traffic:
        """The same with lengths clipped to these limits."""
        return Traffic(self.arrivals, np.clip(self.lengths, shortest, longest))

    def of(self, count: int) -> Traffic:
        """So many items: the first ones, or all of them over and over."""
        return Traffic(np.resize(self.arrivals, count), np.resize(self.lengths, count))

    def with_lengths(self, lengths: Sequence[int], seed: int) -> Traffic:
        """The same with lengths drawn from `lengths` with `seed`."""
        drawn = np.random.default_rng(seed).choice(lengths, len(self.lengths))
        return Traffic(self.arrivals, drawn)

    @property
    def varied(self) -> bool:
        """Whether lengths differ."""
        return bool(self.lengths.min() < self.lengths.max())

    def requests(self, rate_per_s: float) -> list[Request]:
        """New items for one run, `rate_per_s` of them a second."""
        times = (self.arrivals / rate_per_s).tolist()
        return [
            Request(str(number), at_s, length, NO_TOKENS)
            for number, (at_s, length) in enumerate(zip(times, self.lengths.tolist(), strict=True))
        ]
