"""Everything an operator decides about batching, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from headway.core.batching.curve import Curve
from headway.core.batching.limits import Limits
from headway.core.request import Tier
from headway.core.settings import SchedulerSettings, TierSettings


@dataclass(frozen=True, slots=True)
class TierBatching:
    """How the items of one tier are batched."""

    policy: Literal["constant", "adaptive", "optimal"] = "adaptive"
    max_size: int | None = None
    """Items of a batch that this tier leads; None: as many as the model takes."""
    max_delay_s: float = 0.005
    """The longest wait for company under `constant`."""
    slo_s: float | None = None
    """Latency that `adaptive` keeps batches small for."""
    queue: TierSettings = field(default_factory=TierSettings)
    """Its limits and promises: `max_wait_s`, `max_queue`, `weight`. What runs is not capped."""

    def __post_init__(self) -> None:
        if self.max_size is not None and self.max_size < 1:
            raise ValueError(f"max_size of a tier is at least 1, not {self.max_size}")


FREQUENT = TierBatching()
"""Batches of the upper tiers are small and frequent: they wait only while that pays."""
RARE = TierBatching("constant", max_delay_s=0.1)
"""Batches of the lowest tier are large and rare: they wait to be full, at most so long."""


def _tiers() -> dict[Tier, TierBatching]:
    return {Tier.INTERACTIVE: FREQUENT, Tier.STANDARD: FREQUENT, Tier.BATCH: RARE}


@dataclass(frozen=True, slots=True)
class BatchingSettings:
    """Settings of one Batcher."""

    limits: Limits = field(default_factory=Limits)
    tiers: Mapping[Tier, TierBatching] = field(default_factory=_tiers)
    """Every tier has to be named."""
    length_aware: bool = False
    """Whether a batch is made of items of about equal length, instead of those next in order."""
    slice_s: float | None = None
    """Predicted duration that a batch below the interactive tier stays within. None: that of the
    smallest batch with nine tenths of the full throughput, while interactive items come."""
    order: str = "fcfs"
    """The policy that orders items within a tier and tenant: a name of `core.policies`."""
    tier_mode: Literal["strict", "weighted"] = "strict"
    fairness: Literal["off", "vtc", "drr"] = "off"
    tenant_weights: Mapping[str, float] = field(default_factory=dict)
    max_queue: int | None = None
    prior: Curve = field(default_factory=Curve)
    """How long batches take until some have run: best a lower bound, as deadlines that it does
    not allow are refused."""

    def scheduling(self) -> SchedulerSettings:
        """The part of it that orders items, for the modules that scheduling and batching share."""
        return SchedulerSettings(
            policy=self.order,
            tier_mode=self.tier_mode,
            tiers={tier: of_tier.queue for tier, of_tier in self.tiers.items()},
            fairness=self.fairness,
            tenant_weights=self.tenant_weights,
            max_queue=self.max_queue,
        )
