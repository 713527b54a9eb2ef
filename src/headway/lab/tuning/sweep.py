"""Every setting at every load, on virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from headway.core.batching import Batcher, BatchingSettings, Limits, TierBatching
from headway.core.request import Tier
from headway.lab.simulation.batched import simulate_batches
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.measures import Distribution
from headway.lab.simulation.processes import over_processes
from headway.lab.tuning.durations import MeasuredDurations
from headway.lab.tuning.traffic import Traffic

BatchingName = Literal["constant", "adaptive", "optimal"]

WARM_UP = 0.1
"""Share of the items that are not counted: a batcher learns its model first."""

SUSTAINED = 0.98
"""Largest share of a setting's throughput to try: above it queues grow without end."""

SATURATING_ITEMS = 1000
"""Least number of items that measure a setting's throughput."""

SATURATING_ROUNDS = 10
"""Least number of full batches for each worker in that measurement: workers that have none at its
end are to count for little."""

SATURATING_BATCHES = 3
"""Full batches that wait or run in that measurement, for each worker. With more to choose from,
batches of similar length would form more easily than with finite queues."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Batching settings, with the names of the configuration."""

    batching: BatchingName
    max_batch_size: int
    max_delay_s: float = 0.0
    """Of `constant`."""
    slo_s: float | None = None
    """Of `adaptive`."""
    length_aware: bool = False

    def __str__(self) -> str:
        text = f"{self.batching} {self.max_batch_size}"
        if self.batching == "constant":
            text += f", {self.max_delay_s * 1e3:.4g} ms"
        if self.slo_s is not None:
            text += f", SLO {self.slo_s * 1e3:.4g} ms"
        return text + (", by length" if self.length_aware else "")

    def options(self) -> dict[str, object]:
        """The fields of a model's configuration that it sets."""
        found: dict[str, object] = {
            "max_batch_size": self.max_batch_size,
            "batching": self.batching,
            "length_aware": self.length_aware,
        }
        if self.batching == "constant":
            found["max_delay_s"] = self.max_delay_s
        if self.slo_s is not None:
            found["slo_s"] = self.slo_s
        return found

    def batcher(self, workers: int) -> Batcher:
        """A new batcher, which has learned nothing yet."""
        of_tier = TierBatching(self.batching, max_delay_s=self.max_delay_s, slo_s=self.slo_s)
        settings = BatchingSettings(
            Limits(self.max_batch_size),
            dict.fromkeys(Tier, of_tier),
            length_aware=self.length_aware,
        )
        return Batcher(settings, workers)


@dataclass(frozen=True, slots=True)
class Point:
    """One setting at one load."""

    setting: Setting
    load: float
    """Share of the capacity that comes."""
    rate_per_s: float
    """Arriving items per second; all are answered."""
    throughput_per_s: float
    """Items answered a second, from the first arrival to the last result."""
    utilisation: float
    """Share of the time in which workers ran batches."""
    batch_size: float
    """The mean."""
    latency_s: Distribution
    goodput: float = 1.0
    """Share of the items within the latency limit, if there is one."""


@dataclass(frozen=True)
class Conditions:
    """The conditions of a sweep."""

    durations: MeasuredDurations
    traffic: Traffic
    workers: int = 1
    seed: int = 0
    limit_s: float | None = None
    """Of each item's latency, for goodput."""


@dataclass(frozen=True)
class Swept:
    """The result of a sweep."""

    capacity_per_s: float
    """Items per second of the setting with the highest throughput."""
    points: Sequence[Point]
    """Without overloaded settings."""


def grid(
    policies: Sequence[BatchingName],
    sizes: Sequence[int],
    delays_s: Sequence[float],
    *,
    varied: bool,
    slo_s: float | None,
) -> list[Setting]:
    """The settings to try.

    Args:
        policies: of constant, adaptive and optimal.
        sizes: K, for constants; the largest is that of the others.
        delays_s: N, for constants.
        varied: whether lengths differ: then each setting is tried with and without regard to them.
        slo_s: a latency limit that `adaptive` is also tried with.
    """
    found = []
    for policy, by_length in product(policies, (False, True) if varied else (False,)):
        if policy == "constant":
            for size, delay_s in product(sizes, delays_s):
                if size > 1 or delay_s == delays_s[0]:  # a batch of one never waits
                    shown_s = delay_s if size > 1 else 0.0
                    found.append(Setting("constant", size, shown_s, length_aware=by_length))
        elif policy == "adaptive":
            found.append(Setting("adaptive", max(sizes), length_aware=by_length))
            if slo_s is not None:
                found.append(Setting("adaptive", max(sizes), slo_s=slo_s, length_aware=by_length))
        else:
            found.append(Setting("optimal", max(sizes), length_aware=by_length))
    return found


def sweep(
    conditions: Conditions,
    settings: Sequence[Setting],
    loads: Sequence[float] = (),
    rate_per_s: float | None = None,
    *,
    processes: int = 1,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Swept:
    """Try each of `settings` at each of `loads`, or at one rate.

    Args:
        conditions: what they are tried on.
        settings: at least one.
        loads: shares of the capacity, below 1.
        rate_per_s: items a second, instead of them.
        processes: runs at once.
        progress: called with the number of finished runs and of all runs.

    Raises:
        SimulationError: every setting would be overloaded.
    """
    alike = {(setting.max_batch_size, setting.length_aware) for setting in settings}
    through = {shape: saturated_per_s(conditions, *shape) for shape in alike}
    capacity = max(through.values())
    if rate_per_s is not None:
        loads = [rate_per_s / capacity]
    if max(loads) >= 1.0:
        raise SimulationError(
            f"the model answers at most {capacity:.3g} items a second here, and "
            f"{max(loads) * capacity:.3g} would come: no queue would come to an end; ask for "
            "fewer, or add --instances"
        )
    tasks = [
        (setting, load, load * capacity)
        for setting in settings
        for load in loads
        if load * capacity < SUSTAINED * through[setting.max_batch_size, setting.length_aware]
    ]
    if not tasks:
        raise SimulationError(
            f"no setting can do with {max(loads):.0%} of the {capacity:.3g} items a second that "
            "the model answers at most; ask for less, or add --instances"
        )
    points = []
    for point in _points(conditions, tasks, processes):
        points.append(point)
        progress(len(points), len(tasks))
    order = {setting: number for number, setting in enumerate(settings)}
    points.sort(key=lambda point: (point.load, order[point.setting]))
    return Swept(capacity, points)


def saturated_per_s(conditions: Conditions, max_batch_size: int, length_aware: bool) -> float:
    """Items per second in a closed loop in which every batch is full."""
    setting = Setting("constant", max_batch_size, length_aware=length_aware)
    at_once = max_batch_size * conditions.workers
    rounds = max(SATURATING_ROUNDS, -(-SATURATING_ITEMS // at_once))
    requests = conditions.traffic.of(rounds * at_once).requests(1.0)
    outcome = simulate_batches(
        setting.batcher(conditions.workers),
        requests,
        conditions.durations.drawn(conditions.seed),
        SATURATING_BATCHES * at_once,
    )
    return len(requests) / outcome.ended_s


Task = tuple[Setting, float, float]


def run(conditions: Conditions, task: Task) -> Point:
    """One setting at one load and rate."""
    setting, load, rate_per_s = task
    requests = conditions.traffic.requests(rate_per_s)
    took_s = conditions.durations.drawn(conditions.seed)
    outcome = simulate_batches(setting.batcher(conditions.workers), requests, took_s)
    counted = requests[int(WARM_UP * len(requests)) :]
    latencies_s = np.array([outcome.latencies_s[request.id] for request in counted])
    lasted_s = outcome.ended_s - requests[0].arrival_s
    return Point(
        setting,
        load,
        rate_per_s,
        len(requests) / lasted_s,
        outcome.busy_s / conditions.workers / lasted_s,
        len(requests) / outcome.batches,
        Distribution.of(latencies_s),
        1.0 if conditions.limit_s is None else float((latencies_s <= conditions.limit_s).mean()),
    )


def _points(conditions: Conditions, tasks: Sequence[Task], processes: int) -> Iterator[Point]:
    if processes == 1 or len(tasks) == 1:
        return (run(conditions, task) for task in tasks)
    return over_processes(run, conditions, tasks, processes)
