"""Everything an operator decides about scheduling, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from headway.core.cost import CostModel
from headway.core.request import Tier

INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class TierSettings:
    """Limits and promises of one tier."""

    max_wait_s: float = INFINITE
    """After this wait a request is next: nothing that is due later may overtake it."""
    max_slowdown: float = INFINITE
    """The same, once its latency would exceed this multiple of its own service time."""
    max_queue: int | None = None
    """Requests that may wait; more are rejected."""
    max_running: int | None = None
    weight: float = 1.0
    """Share of service where tiers are weighted."""


@dataclass(frozen=True, slots=True)
class PreemptionSettings:
    """When stopping a running request is worth it."""

    enabled: bool = True
    gain_factor: float = 2.0
    """The expected gain must exceed this many times the cost that the backend states."""
    min_run_s: float = 0.25
    """A request that began to run is left alone for so long (hysteresis)."""
    max_preemptions: int = 16
    """After so many it runs to its end."""
    trail_c: float | None = None
    """TRAIL's limit: preempt only while output tokens < c x initial prediction. None: no limit."""
    quantum_s: float = 0.5
    """Service that a request may attain on MLFQ's first level; each next level gives twice that."""


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """Settings of one Scheduler."""

    policy: str = "srpt"
    tier_mode: Literal["strict", "weighted"] = "strict"
    tiers: Mapping[Tier, TierSettings] = field(default_factory=dict)
    """A tier that is not named has no limits."""
    fairness: Literal["off", "vtc", "drr"] = "off"
    tenant_weights: Mapping[str, float] = field(default_factory=dict)
    tenant_max_running: int | None = None
    max_queue: int | None = None
    on_missed_deadline: Literal["reject", "downgrade"] = "reject"
    preemption: PreemptionSettings = field(default_factory=PreemptionSettings)
    cost: CostModel = field(default_factory=CostModel)
    """Reference cost model, until `Scheduler.calibrate` gives a measured one: ranks and predicted
    service times are in its seconds."""

    def tier(self, tier: Tier) -> TierSettings:
        """The settings of `tier`."""
        return self.tiers.get(tier, _UNLIMITED)


_UNLIMITED = TierSettings()
