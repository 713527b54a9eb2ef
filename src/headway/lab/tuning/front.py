"""The Pareto front of a sweep, and the recommended point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from headway.lab.report.figures import figures_beside
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.slo import Objective, Target, parse_objective
from headway.lab.tuning.sweep import Point

ALIKE = 1.03
"""Mean latencies within this factor of each other differ by chance only."""

FOLLOWS = ("adaptive", "optimal", "constant")
"""Policies in order of preference: first those that need no tuning when traffic changes."""


def objective_of(text: str) -> Objective:
    """What is asked of latency: `p99=50ms,mean=20ms`, or `latency=50ms,goodput=95%`.

    Raises:
        SimulationError: it cannot be read, or is of another quantity.
    """
    objective = parse_objective(text)
    others = [str(target) for target in objective.statistics if target.quantity != "latency_s"]
    if objective.request.ttft_s is not None or objective.request.tpot_s is not None:
        others.append(str(objective))
    if others:
        raise SimulationError(
            f"{others[0]} is not of latency, which is all that items have; write --slo p99=50ms or "
            f"--slo latency=50ms,goodput=95%"
        )
    return objective


def tightest_s(objective: Objective) -> float | None:
    """The least latency that is asked for; None: none is."""
    limits_s = [target.limit_s for target in objective.statistics]
    if objective.request.latency_s is not None:
        limits_s.append(objective.request.latency_s)
    return min(limits_s, default=None)


def meets(point: Point, objective: Objective) -> bool:
    """Whether `point` achieves all of it."""
    return all(target.met(point) for target in objective.targets)


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


def recommended(points: Sequence[Point], objective: Objective) -> Point | None:
    """The most traffic that meets `objective`, and the setting for it; None if none is.

    Where several settings carry as much, it is one of those that meet it at the most
    loads, with the lowest mean latency. What is no better by more than chance does not beat a
    setting that follows the traffic by itself.
    """
    good = [point for point in points if meets(point, objective)]
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


def unmet(points: Sequence[Point], objective: Objective) -> str:
    """How near the best of `points` comes to what none achieves, in words."""
    nearest = min(points, key=lambda one: max(of.missed(one) for of in objective.targets))
    asked = " and ".join(
        f"{of.statistic} {1e3 * of.limit_s:.3g} ms" if isinstance(of, Target) else str(of)
        for of in objective.targets
    )
    return (
        f"no setting meets {asked}: the nearest has {achieved(nearest, objective, ' and ')}, "
        f"{nearest.setting} at {nearest.load:.0%} of the capacity; allow more time, send fewer or "
        "shorter items, or take a faster machine"
    )


def achieved(point: Point, objective: Objective, between: str = ", ") -> str:
    """What `point` has of what was asked for, in words."""
    return between.join(
        f"{of.statistic} {figures_beside(1e3 * of.value_s(point), 1e3 * of.limit_s)} ms"
        if isinstance(of, Target)
        else f"goodput {of.reached(point)}"
        for of in objective.targets
    )
