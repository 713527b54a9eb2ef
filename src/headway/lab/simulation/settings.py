"""The scheduler settings of a simulation."""

from __future__ import annotations

from headway.core.request import Tier
from headway.core.settings import BoostSettings, SchedulerSettings, TierSettings
from headway.lab.simulation.errors import SimulationError

BOOST = BoostSettings()


def settings_of(
    max_wait_s: float = 0.0, fairness: str = "off", tail: float = BOOST.tail
) -> SchedulerSettings:
    """The scheduler's settings but for its policy. A `max_wait_s` of 0 is none.

    Raises:
        SimulationError: there is no such fairness, or `tail` cannot be promised.
    """
    try:
        boost = BoostSettings(tail)
    except ValueError as error:
        raise SimulationError(str(error)) from None
    if fairness not in ("off", "vtc", "drr"):
        raise SimulationError(f"no fairness {fairness!r}; there are off, vtc, drr")
    bound = TierSettings(max_wait_s=max_wait_s) if max_wait_s else TierSettings()
    return SchedulerSettings(
        policy="fcfs",
        tiers=dict.fromkeys(Tier, bound),
        fairness=fairness,  # type: ignore[arg-type]
        boost=boost,
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
