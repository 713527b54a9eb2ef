"""How many requests a backend takes, and what its tokens cost: as it says, and as measured."""

from __future__ import annotations

from dataclasses import replace

from headway.core.cost import CostModel
from headway.engines.engine import Description
from headway.engines.limiter import ConcurrencyLimit
from headway.engines.measured_cost import MeasuredCost

COST_DRIFT = 0.2
"""Relative change of the measured time per token from which the scheduler gets the new one."""


class Capacity:
    """Capacity of one backend.

    Its limit is the number of slots where that is known; otherwise it adapts to the time per output
    token.
    """

    def __init__(self) -> None:
        self.cost = MeasuredCost()
        """For clients that measure by themselves."""
        self._limit = ConcurrencyLimit()
        self._known_slots: int | None = None
        """Initial and maximum value of the limit; None: unknown."""

    @property
    def slots(self) -> int:
        """How many requests it takes at once."""
        return self._limit.limit

    def use(self, slots: int | None) -> None:
        """It has so many slots from now on; None: unknown."""
        if slots != self._known_slots:
            self._known_slots = slots
            self._limit = (
                ConcurrencyLimit(initial=slots, most=slots) if slots else ConcurrencyLimit()
            )

    def answered(self, tpot_s: float | None, in_flight: int) -> None:
        """A request was answered in `tpot_s` per output token; None: not known."""
        if self._known_slots is not None:
            self._limit.answered(in_flight)
        elif tpot_s is not None:
            self._limit.observe(tpot_s, in_flight)

    def overloaded(self) -> None:
        """The backend reported overload."""
        self._limit.overloaded()

    def drifted(self, known: CostModel) -> bool:
        """Whether a token takes so much more or less time than in `known` that it matters."""
        measured_s = self.cost.model.decode_s_per_token
        return abs(measured_s / known.decode_s_per_token - 1.0) > COST_DRIFT

    def costed(self, description: Description) -> Description:
        """`description` with the cost measured so far."""
        # Engines compute a prompt in iterations that all their slots share. How a hosted API
        # computes it is not known.
        hosted = description.engine == "openai"
        cost = replace(
            self.cost.model,
            recompute_share=description.cost.recompute_share,
            held_slots=1.0 if hosted else self._known_slots or self.slots,
        )
        return replace(description, cost=cost)
