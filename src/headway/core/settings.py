"""All settings of the scheduler, as plain values."""

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
    """After this wait a request is due: no request that is due later may overtake it."""
    max_slowdown: float = INFINITE
    """A request is also due once its latency would exceed this multiple of its service time."""
    max_queue: int | None = None
    """Number of requests that may wait; more are rejected."""
    max_running: int | None = None
    weight: float = 1.0
    """Share of service, if tiers are weighted."""


@dataclass(frozen=True, slots=True)
class PreemptionSettings:
    """When to stop a running request."""

    enabled: bool = True
    min_run_s: float = 0.25
    """A request is not stopped for this long after it starts (hysteresis)."""
    max_preemptions: int = 16
    """After this many preemptions a request runs to its end."""
    trail_c: float | None = None
    """TRAIL's limit: preempt only while output tokens < c x initial prediction. None: no limit."""
    quantum_s: float = 0.5
    """Service that MLFQ's first level allows; each next level allows twice the one before."""


@dataclass(frozen=True, slots=True)
class BoostSettings:
    """What the policy `boost` promises."""

    tail: float = 1.15
    """p99 latency stays below this multiple of what `fcfs` would give to the same traffic."""
    scale_s: float | None = None
    """A fixed scale of the head starts, which promises nothing. None: `tail` decides."""

    def __post_init__(self) -> None:
        if not 1.0 <= self.tail < INFINITE:
            raise ValueError(
                f"a tail of {self.tail:g} cannot be promised; choose at least 1: it is p99 latency "
                f"over that of fcfs, such as 1.15"
            )
        if self.scale_s is not None and not 0.0 < self.scale_s < INFINITE:
            raise ValueError(f"a scale of {self.scale_s:g} s is not a time; choose one above 0")


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """Settings of one Scheduler."""

    policy: str = "srpt"
    tier_mode: Literal["strict", "weighted"] = "strict"
    tiers: Mapping[Tier, TierSettings] = field(default_factory=dict)
    """A tier that is missing has no limits."""
    fairness: Literal["off", "vtc", "drr"] = "off"
    tenant_weights: Mapping[str, float] = field(default_factory=dict)
    tenant_max_running: int | None = None
    max_queue: int | None = None
    on_missed_deadline: Literal["reject", "downgrade"] = "reject"
    preemption: PreemptionSettings = field(default_factory=PreemptionSettings)
    boost: BoostSettings = field(default_factory=BoostSettings)
    cost: CostModel = field(default_factory=CostModel)
    """Reference cost model, until `Scheduler.calibrate` gives a measured one: ranks and predicted
    service times are in its seconds."""

    def tier(self, tier: Tier) -> TierSettings:
        """The settings of `tier`."""
        return self.tiers.get(tier, _UNLIMITED)


_UNLIMITED = TierSettings()
