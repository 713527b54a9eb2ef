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
    """Most items in a batch that this tier leads; None: as many as the model takes."""
    max_delay_s: float = 0.005
    """Longest wait for further items under `constant`."""
    slo_s: float | None = None
    """Latency that `adaptive` tries to meet by limiting the batch size; None: no limit."""
    queue: TierSettings = field(default_factory=TierSettings)
    """Limits and guarantees of the tier: `max_wait_s`, `max_queue`, `weight`. Running items are not
    limited."""

    def __post_init__(self) -> None:
        if self.max_size is not None and self.max_size < 1:
            raise ValueError(f"max_size of a tier is at least 1, not {self.max_size}")


FREQUENT = TierBatching()
"""For the upper tiers: small, frequent batches that wait only while waiting pays."""
RARE = TierBatching("constant", max_delay_s=0.1)
"""For the lowest tier: large, rare batches that wait to be full, up to this delay."""


def _tiers() -> dict[Tier, TierBatching]:
    return {Tier.INTERACTIVE: FREQUENT, Tier.STANDARD: FREQUENT, Tier.BATCH: RARE}


@dataclass(frozen=True, slots=True)
class BatchingSettings:
    """Settings of one Batcher."""

    limits: Limits = field(default_factory=Limits)
    tiers: Mapping[Tier, TierBatching] = field(default_factory=_tiers)
    """Must name every tier."""
    length_aware: bool = False
    """Whether a batch holds items of about equal length, instead of those next in order."""
    slice_s: float | None = None
    """Longest predicted duration of a batch below the interactive tier. None: that of the smallest
    batch with nine tenths of the full throughput, while interactive items arrive."""
    order: str = "fcfs"
    """The policy that orders items within a tier and tenant: a name of `core.policies`."""
    tier_mode: Literal["strict", "weighted"] = "strict"
    fairness: Literal["off", "vtc", "drr"] = "off"
    tenant_weights: Mapping[str, float] = field(default_factory=dict)
    max_queue: int | None = None
    prior: Curve = field(default_factory=Curve)
    """Predicts durations until some batches have run. Best a lower bound, as items whose deadlines
    it cannot meet are refused."""

    def scheduling(self) -> SchedulerSettings:
        """The part that orders items, for the modules that scheduling and batching share."""
        return SchedulerSettings(
            policy=self.order,
            tier_mode=self.tier_mode,
            tiers={tier: of_tier.queue for tier, of_tier in self.tiers.items()},
            fairness=self.fairness,
            tenant_weights=self.tenant_weights,
            max_queue=self.max_queue,
        )
