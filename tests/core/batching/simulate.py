"""A batcher on virtual time: one model that takes what a curve says, Poisson arrivals, a seed."""

from __future__ import annotations

from random import Random

from tests.core.batching.drive import item

from headway.core.batching import Batcher, BatchingSettings, Curve, Limits, TierBatching
from headway.core.request import Request, Tier
from headway.lab.simulation.batched import BatchedOutcome, simulate_batches

LEAST_SHARE = 0.2
"""Shortest duration of a batch, relative to the predicted one."""


def simulate(
    batcher: Batcher, requests: list[Request], curve: Curve, seed: int = 1
) -> BatchedOutcome:
    """Run `requests`, in order of arrival, to their end; durations vary with `curve.spread`."""
    random = Random(seed)

    def took_s(size: int, length: int) -> float:
        return curve.batch_s(size, length) * max(LEAST_SHARE, random.gauss(1.0, curve.spread))

    return simulate_batches(batcher, requests, took_s)


def poisson(
    rate_per_s: float,
    count: int,
    seed: int,
    lengths: tuple[int, ...] = (1,),
    tier: Tier = Tier.STANDARD,
) -> list[Request]:
    """`count` items with exponential gaps, their lengths drawn from `lengths`."""
    random = Random(seed)
    now_s = 0.0
    items = []
    for index in range(count):
        now_s += random.expovariate(rate_per_s)
        length = random.choice(lengths)
        items.append(item(f"{tier.label}{index}", length, now_s, tier=tier))
    return items


def batcher(policy: str, largest: int, workers: int = 1, **batching) -> Batcher:
    """A batcher that knows nothing of the model yet."""
    tiers = dict.fromkeys(Tier, TierBatching(policy, **batching))  # type: ignore[arg-type]
    return Batcher(BatchingSettings(limits=Limits(largest), tiers=tiers), workers)
