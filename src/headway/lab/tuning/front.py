"""The Pareto front of a sweep, and the recommended point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.slo import Target, parse_targets
from headway.lab.tuning.sweep import Point

ALIKE = 1.03
"""Mean latencies within this factor of each other differ by chance only."""

FOLLOWS = ("adaptive", "optimal", "constant")
"""Policies in order of preference: first those that need no tuning when traffic changes."""


def targets_of(text: str) -> list[Target]:
    """Limits of latency, from `p99=50ms,mean=20ms`; `latency_p99=50ms` says the same.

    Raises:
        SimulationError: it cannot be read, or is of another quantity.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    named = [part if "_" in part.partition("=")[0] else f"latency_{part}" for part in parts]
    targets = parse_targets(",".join(named))
    for target in targets:
        if target.quantity != "latency_s":
            raise SimulationError(f"{target} is not of latency; write --slo p99=50ms")
    return targets


def achieved_s(point: Point, target: Target) -> float:
    """The value that `target` limits."""
    return float(getattr(point.latency_s, target.statistic))


def meets(point: Point, targets: Sequence[Target]) -> bool:
    """Whether `point` is within all of them."""
    return all(achieved_s(point, target) <= target.limit_s for target in targets)


def front(points: Sequence[Point], statistic: str) -> list[Point]:
    """The Pareto front: no other point has as much traffic at as low a latency.

    Args:
        points: any.
        statistic: of latency, as `p99`.

    Returns:
        By rising rate, and so by rising latency.
    """

    def latency_s(point: Point) -> float:
        return float(getattr(point.latency_s, statistic))

    found: list[Point] = []
    for point in sorted(points, key=lambda one: (-one.rate_per_s, latency_s(one))):
        if not found or latency_s(point) < latency_s(found[-1]):
            found.append(point)
    return found[::-1]


def recommended(points: Sequence[Point], targets: Sequence[Target]) -> Point | None:
    """The most traffic that is within `targets`, and the setting for it; None if none is.

    Where several settings carry as much, it is one of those that are within them at the most
    loads, with the lowest mean latency. What is no better by more than chance does not beat a
    setting that follows the traffic by itself.
    """
    good = [point for point in points if meets(point, targets)]
    if not good:
        return None
    most = max(point.rate_per_s for point in good)
    loads = Counter(point.setting for point in good)
    carrying = [point for point in good if point.rate_per_s == most]
    widest = max(loads[point.setting] for point in carrying)
    widely = [point for point in carrying if loads[point.setting] == widest]
    about_s = ALIKE * min(point.latency_s.mean for point in widely)
    return min(
        (point for point in widely if point.latency_s.mean <= about_s),
        key=lambda point: (FOLLOWS.index(point.setting.batching), point.latency_s.mean),
    )


def unmet(points: Sequence[Point], targets: Sequence[Target]) -> str:
    """How near the best of `points` comes to `targets` that none meets, in words."""
    nearest = min(points, key=lambda one: max(achieved_s(one, of) / of.limit_s for of in targets))
    reached = " and ".join(
        f"{of.statistic} {1e3 * achieved_s(nearest, of):.3g} ms" for of in targets
    )
    asked = " and ".join(f"{of.statistic} {1e3 * of.limit_s:.3g} ms" for of in targets)
    return (
        f"no setting meets {asked}: the nearest has {reached}, {nearest.setting} at "
        f"{nearest.load:.0%} of the capacity; allow more time, send fewer or shorter items, or "
        "take a faster machine"
    )
