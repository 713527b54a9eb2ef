"""A sweep as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from headway.lab.report import chart
from headway.lab.report.axis import Axis
from headway.lab.report.chart import Series
from headway.lab.report.colours import Look, looks
from headway.lab.report.figures import figures, share
from headway.lab.report.page import facts, folded, page, section, spot, swatch, table
from headway.lab.report.sections import said
from headway.lab.tuning.durations import MeasuredDurations
from headway.lab.tuning.front import front
from headway.lab.tuning.sweep import Point, Swept
from headway.lab.tuning.table import (
    DURATION_MEANINGS,
    HEADINGS,
    MEANINGS,
    cells_of,
    duration_cells,
    shown,
)

ROOM = 2.0
"""The latency axis ends at so many times the longest of the front."""

FRONT = "front"
BY_LENGTH = ", by length"


def report_html(
    swept: Swept,
    durations: MeasuredDurations,
    best: Point | None,
    remarks: Sequence[str],
    lines: Sequence[str],
    asked: Mapping[str, str],
) -> str:
    """The page: recommendation, plots, points, durations.

    Args:
        swept: the points.
        durations: what batches took.
        best: the recommended point; None: there is none.
        remarks: what is said of the result.
        lines: of the configuration, for `best`.
        asked: what was asked, by name.
    """
    configuration = f"<pre>{escape(chr(10).join(lines))}</pre>" if lines else ""
    sections = [section("Result", said(remarks) + configuration)]
    for statistic in ("mean", "p99"):
        sections.append(
            section(
                f"{statistic} latency".capitalize(),
                f"<p>Each dot is a setting at a load: point at it to see which. The line is "
                f"the Pareto front: no other setting has as much traffic at a lower {statistic}."
                f"{' The large ring is recommended.' if best else ''} Dots far above the front "
                f"are left out.</p>{_legend(swept.points)}"
                f"{_plot(swept.points, statistic, best, against_throughput=False)}"
                f"{_plot(swept.points, statistic, best, against_throughput=True)}",
            )
        )
    by_load = table(HEADINGS, _rows(swept.points, best), MEANINGS)
    every = table(HEADINGS, _all(swept.points), MEANINGS)
    measured = table(*duration_cells(durations), DURATION_MEANINGS)
    sections += [
        section("By load", by_load),
        section("All points", folded(f"All {len(swept.points)} points", every)),
        section("Batches as measured, by size", measured),
        section("Settings", facts(asked)),
    ]
    return page("Headway tune", datetime.now(UTC), sections)


def _families(points: Sequence[Point]) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = {}
    for point in points:
        setting = point.setting
        name = setting.batching + (BY_LENGTH if setting.length_aware else "")
        found.setdefault(name, []).append(point)
    return found


def _legend(points: Sequence[Point]) -> str:
    look = _looks(points)
    spots = "".join(
        f"<span>{spot(look[name], _hollow(name))}{escape(name)}</span>"
        for name in _families(points)
    )
    return f'<p class="legend">{spots}<span>{swatch(look[FRONT])}Pareto front</span></p>'


def _looks(points: Sequence[Point]) -> dict[str, Look]:
    return looks([*_families(points), FRONT])


def _hollow(family: str) -> bool:
    """By their batching policy families have colours, by this they differ within one."""
    return family.endswith(BY_LENGTH)


def _plot(
    points: Sequence[Point], statistic: str, best: Point | None, *, against_throughput: bool
) -> str:
    """Latency against throughput, with the front; or against utilisation, which has none."""

    def place(point: Point) -> tuple[float, float]:
        latency_s = float(getattr(point.latency_s, statistic))
        return (
            point.throughput_per_s if against_throughput else point.utilisation,
            1e3 * latency_s,
        )

    on_front = [place(point) for point in front(points, statistic)]
    top = ROOM * max(latency_ms for _, latency_ms in on_front)
    dots = []
    look = _looks(points)
    for name, members in _families(points).items():
        seen = [point for point in members if place(point)[1] <= top]
        titles = [_title(point) for point in seen]
        places = list(map(place, seen))
        dots.append(Series(name, places, look[name], titles, hollow=_hollow(name)))
    if best is not None and place(best)[1] <= top:
        at, title = [place(best)], [_title(best)]
        dots.append(Series("recommended", at, look[FRONT], title, radius=7.0, hollow=True))
    line = Series("Pareto front", sorted(on_front), look[FRONT])
    latencies_ms = [latency_ms for one in dots for _, latency_ms in one.points]
    y = Axis.fitting(f"{statistic} latency", latencies_ms, "ms")
    if not against_throughput:
        return chart.plot([], dots, Axis("utilisation", 1.0, percent=True), y)
    most = max(place(point)[0] for point in points)
    return chart.plot([line], dots, Axis("throughput", most, "items/s"), y)


def _title(point: Point) -> str:
    return (
        f"{point.setting}, load {point.load:.0%}: mean {figures(1e3 * point.latency_s.mean)} ms, "
        f"p99 {figures(1e3 * point.latency_s.p99)} ms, {figures(point.throughput_per_s)} items/s, "
        f"utilisation {share(point.utilisation)}"
    )


def _rows(points: Sequence[Point], best: Point | None) -> list[list[str]]:
    return [cells_of(point, remark) for point, remark in shown(points, best)]


def _all(points: Sequence[Point]) -> list[list[str]]:
    on = {
        statistic: {id(point) for point in front(points, statistic)}
        for statistic in ("mean", "p99")
    }
    return [
        cells_of(point, ", ".join(f"front of {name}" for name in on if id(point) in on[name]))
        for point in points
    ]
