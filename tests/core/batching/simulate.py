"""A batcher on virtual time: one model that takes what a curve says, Poisson arrivals, a seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.core.batching.drive import item

from headway.core.batching import (
    Batch,
    Batcher,
    BatchingSettings,
    Curve,
    Launch,
    Limits,
    TierBatching,
    solve,
)
from headway.core.request import Request, Tier


@dataclass
class Outcome:
    """What became of the items of one run."""

    latencies_s: dict[str, float]
    busy_s: float
    ended_s: float

    @property
    def mean_s(self) -> float:
        return sum(self.latencies_s.values()) / len(self.latencies_s)

    def quantile_s(self, q: float, of: str = "") -> float:
        """A quantile of the latencies of the items whose id begins with `of`."""
        latencies = sorted(s for name, s in self.latencies_s.items() if name.startswith(of))
        return latencies[min(len(latencies) - 1, int(q * len(latencies)))]


def simulate(batcher: Batcher, requests: list[Request], curve: Curve, seed: int = 1) -> Outcome:
    """Run `requests`, in order of arrival, to their end; durations vary with `curve.spread`."""
    random = Random(seed)
    latencies: dict[str, float] = {}
    running: list[tuple[float, Batch]] = []
    now_s = busy_s = 0.0
    coming = iter(requests)
    following = next(coming, None)
    while following is not None or batcher.requests:
        times = [ends_s for ends_s, _ in running]
        if following is not None:
            times.append(following.arrival_s)
        wakeup_s = batcher.next_wakeup_s(now_s)
        if wakeup_s is not None:
            times.append(wakeup_s)
        now_s = min(times)
        for ends_s, batch in [entry for entry in running if entry[0] <= now_s]:
            running.remove((ends_s, batch))
            batcher.finished(batch, now_s, ends_s - batch.launched_s)
            for request in batch.requests:
                latencies[request.id] = now_s - request.arrival_s
        while following is not None and following.arrival_s <= now_s:
            batcher.add(following, now_s)
            following = next(coming, None)
        for tier, problem in batcher.problems(now_s).items():
            batcher.use_table(tier, solve(problem), now_s)
        for decision in batcher.step(now_s):
            if isinstance(decision, Launch):
                batch = decision.batch
                took_s = curve.batch_s(batch.size, batch.length)
                took_s *= max(0.2, random.gauss(1.0, curve.spread))
                busy_s += took_s
                running.append((now_s + took_s, batch))
    return Outcome(latencies, busy_s, now_s)


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
