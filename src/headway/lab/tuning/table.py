"""Durations and points as tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from headway.lab.report.figures import figures, share
from headway.lab.report.terminal import Results
from headway.lab.tuning.durations import MeasuredDurations
from headway.lab.tuning.sweep import Point

HEADINGS = ["load setting", "mean ms", "p50 ms", "p99 ms", "items /s", "util.", "batch size", ""]
LEAST_FIRST = ("batch size", "util.", "p50 ms", "items /s")
"""Columns that a narrow terminal does without, the least important first."""


MEANINGS = {
    "load setting": "arriving items as a share of what the model answers at most, and the batching "
    "policy with its largest batch and its delay",
    **dict.fromkeys(("mean ms", "p50 ms", "p99 ms"), "an item's latency, arrival to result"),
    "items /s": "answered items a second",
    "util.": "utilisation: share of the time in which workers ran batches",
    "batch size": "items in a batch, mean",
}
"""What headings say, for those who see the table alone."""

DURATION_MEANINGS = {
    "batch ms": "milliseconds that a batch of so many items takes, in the median, by the items' "
    "length; one length if it does not vary"
}


def duration_cells(durations: MeasuredDurations) -> tuple[list[str], list[list[str]]]:
    """Milliseconds of a batch: a row for each size, a column for each length."""
    headings = ["batch ms", *(f"length {length}" for length in durations.lengths)]
    rows = [
        [str(size), *(figures(1e3 * took_s) for took_s in of_size)]
        for size, of_size in zip(durations.sizes, durations.medians_s, strict=True)
    ]
    return headings, rows


def durations_table(durations: MeasuredDurations) -> Results:
    """For the terminal."""
    return Results(*duration_cells(durations))


def points_table(points: Sequence[Point], best: Point | None) -> Results:
    """For each load: the best setting of each policy, and what it is the best in."""
    rows = [cells_of(point, remark) for point, remark in shown(points, best)]
    return Results(HEADINGS, rows, LEAST_FIRST)


def cells_of(point: Point, remark: str) -> list[str]:
    """The row of a point; `remark` is its last cell."""
    latency = point.latency_s
    return [
        f"{point.load:.0%} {point.setting}",
        *(figures(1e3 * value_s) for value_s in (latency.mean, latency.p50, latency.p99)),
        figures(point.throughput_per_s),
        share(point.utilisation),
        figures(point.batch_size),
        remark,
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
            best_in = [
                name
                for name, one in (
                    ("recommended", best),
                    ("least mean", least_mean),
                    ("least p99", least_p99),
                )
                if point is one
            ]
            recommended = best is not None and point.setting == best.setting
            if best_in or recommended or point is of_policy[point.setting.batching]:
                found.append((point, ", ".join(best_in)))
    return found
