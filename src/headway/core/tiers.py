"""Which tier is served next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings


class TierOrder(Protocol):
    """An order of the tiers that have somebody waiting."""

    preempts: bool
    """Whether a higher tier takes slots from a lower one that runs."""

    def ordered(self, waiting: list[Tier]) -> list[Tier]:
        """`waiting` with the tier to serve first in front."""
        ...

    def backlogged(self, tier: Tier, others: list[Tier]) -> None:
        """`tier` has somebody waiting again; `others` had all along."""
        ...

    def served(self, tier: Tier, service_s: float) -> None:
        """A request of `tier` with that predicted service time was started."""
        ...


class StrictTiers:
    """A lower tier is served only when no higher one waits."""

    preempts = True

    def ordered(self, waiting: list[Tier]) -> list[Tier]:
        return sorted(waiting)

    def backlogged(self, tier: Tier, others: list[Tier]) -> None:
        pass

    def served(self, tier: Tier, service_s: float) -> None:
        pass


class WeightedTiers:
    """Every waiting tier gets its share of service, by weight (start-time fair queueing).

    Asked for in llm-d-router#1995. Source: Goyal, Vin and Cheng 1996.
    """

    preempts = False

    def __init__(self, weight: Callable[[Tier], float]) -> None:
        self._weight = weight
        self._virtual_s = dict.fromkeys(Tier, 0.0)

    def ordered(self, waiting: list[Tier]) -> list[Tier]:
        return sorted(waiting, key=lambda tier: (self._virtual_s[tier], tier))

    def backlogged(self, tier: Tier, others: list[Tier]) -> None:
        # Time without anybody waiting earns no credit.
        if others:
            least = min(self._virtual_s[other] for other in others)
        else:
            least = max(self._virtual_s.values())
        self._virtual_s[tier] = max(self._virtual_s[tier], least)

    def served(self, tier: Tier, service_s: float) -> None:
        self._virtual_s[tier] += service_s / self._weight(tier)


def tier_order(settings: SchedulerSettings) -> TierOrder:
    """The order that `settings.tier_mode` names."""
    if settings.tier_mode == "strict":
        return StrictTiers()
    return WeightedTiers(lambda tier: settings.tier(tier).weight)
