"""Durations and points as tables of the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.table import Table

from headway.lab.report.figures import figures, share
from headway.lab.report.terminal import results_table
from headway.lab.tuning.durations import MeasuredDurations
from headway.lab.tuning.sweep import Point

HEADINGS = ["load setting", "mean ms", "p50 ms", "p99 ms", "items /s", "util.", "batch size", ""]


def durations_table(durations: MeasuredDurations) -> Table:
    """Milliseconds of a batch: a row a size, a column a length."""
    headings = ["batch ms", *(f"length {length}" for length in durations.lengths)]
    rows = [
        [str(size), *(figures(1e3 * took_s) for took_s in of_size)]
        for size, of_size in zip(durations.sizes, durations.medians_s, strict=True)
    ]
    return results_table(headings, rows)


def points_table(points: Sequence[Point], best: Point | None) -> Table:
    """Of each load: the best of each policy, and what wins."""
    rows = [cells_of(point, told) for point, told in shown(points, best)]
    return results_table(HEADINGS, rows)


def cells_of(point: Point, told: str) -> list[str]:
    """The row of a point; `told` is its last cell."""
    latency = point.latency_s
    return [
        f"{point.load:.0%} {point.setting}",
        *(figures(1e3 * value_s) for value_s in (latency.mean, latency.p50, latency.p99)),
        figures(point.throughput_per_s),
        share(point.utilisation),
        figures(point.batch_size),
        told,
    ]


def shown(points: Sequence[Point], best: Point | None) -> list[tuple[Point, str]]:
    """Points worth a row, and what each is the best in.

    Args:
        points: by load.
        best: the recommended one; its setting has a row at every load.
    """
    found = []
    for _, of_load in groupby(points, key=lambda point: point.load):
        group = list(of_load)
        least_mean = min(group, key=lambda point: point.latency_s.mean)
        least_p99 = min(group, key=lambda point: point.latency_s.p99)
        of_policy: dict[str, Point] = {}
        for point in sorted(group, key=lambda point: point.latency_s.mean):
            of_policy.setdefault(point.setting.batching, point)
        for point in group:
            told = [
                name
                for name, one in (
                    ("recommended", best),
                    ("least mean", least_mean),
                    ("least p99", least_p99),
                )
                if point is one
            ]
            likewise = best is not None and point.setting == best.setting
            if told or likewise or point is of_policy[point.setting.batching]:
                found.append((point, ", ".join(told)))
    return found
