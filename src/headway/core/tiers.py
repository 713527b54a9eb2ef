"""The order of the tiers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings


class TierOrder(Protocol):
    """An order of the tiers with waiting requests."""

    preempts: bool
    """Whether a higher tier takes slots from running requests of a lower one."""

    def ordered(self, waiting: list[Tier]) -> list[Tier]:
        """Sort `waiting`, the tier to serve first in front."""
        ...

    def backlogged(self, tier: Tier, others: list[Tier]) -> None:
        """`tier` has waiting requests again; `others` had them all along."""
        ...

    def served(self, tier: Tier, service_s: float) -> None:
        """A request of `tier` started, with that predicted service time."""
        ...


class StrictTiers:
    """Serves a lower tier only if no higher one waits."""

    preempts = True

    def ordered(self, waiting: list[Tier]) -> list[Tier]:
        return sorted(waiting)

    def backlogged(self, tier: Tier, others: list[Tier]) -> None:
        pass

    def served(self, tier: Tier, service_s: float) -> None:
        pass


class WeightedTiers:
    """Serves every waiting tier in proportion to its weight (start-time fair queueing).

    Requested in llm-d-router#1995. Source: Goyal, Vin and Cheng 1996.
    """

    preempts = False

    def __init__(self, weight: Callable[[Tier], float]) -> None:
        self._weight = weight
        self._virtual_s = dict.fromkeys(Tier, 0.0)

    def ordered(self, waiting: list[Tier]) -> list[Tier]:
        return sorted(waiting, key=lambda tier: (self._virtual_s[tier], tier))

    def backlogged(self, tier: Tier, others: list[Tier]) -> None:
        # Time without waiting requests earns no credit.
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
