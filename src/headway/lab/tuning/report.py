"""A sweep as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from headway.lab.report import chart
from headway.lab.report.chart import Axis, Series
from headway.lab.report.figures import figures, share
from headway.lab.report.page import COLOURS, facts, legend, page, section, table
from headway.lab.tuning.durations import MeasuredDurations
from headway.lab.tuning.front import front
from headway.lab.tuning.sweep import Point, Swept
from headway.lab.tuning.table import HEADINGS, cells_of, duration_cells, shown

ROOM = 2.0
"""The latency axis ends at so many times the longest of the front."""

FRONT = "Pareto front"


def report_html(
    swept: Swept,
    durations: MeasuredDurations,
    best: Point | None,
    lines: Sequence[str],
    asked: Mapping[str, str],
) -> str:
    """The page: recommendation, plots, points, durations.

    Args:
        swept: the points.
        durations: what batches took.
        best: the recommended point; None: nothing was asked.
        lines: of the configuration, for it.
        asked: what was asked, by name.
    """
    sections = []
    if best is not None:
        sections.append(section("Recommended", _recommendation(best, lines)))
    for statistic in ("mean", "p99"):
        sections.append(
            section(
                f"{statistic} latency".capitalize(),
                f"<p>Each dot is a setting at a load: point at it to see which. The line is "
                f"the Pareto front: no other setting has as much traffic at a lower {statistic}."
                f"{' The large one is recommended.' if best else ''} Dots far above the front "
                f"are left out.</p>{_legend(swept.points)}"
                f"{_plot(swept.points, statistic, best, against_throughput=False)}"
                f"{_plot(swept.points, statistic, best, against_throughput=True)}",
            )
        )
    sections.append(section("By load", table(HEADINGS, _rows(swept.points, best))))
    sections.append(section("All points", table(HEADINGS, _all(swept.points))))
    sections.append(section("Batches as measured, by size", table(*duration_cells(durations))))
    sections.append(section("Settings", facts(asked)))
    return page("Headway tune", datetime.now(UTC), sections)


def _recommendation(best: Point, lines: Sequence[str]) -> str:
    return (
        f'<p class="headline"><b>{escape(str(best.setting))}</b> carries '
        f"{figures(best.rate_per_s)} items a second, {share(best.load)} of the capacity, at a mean "
        f"of {figures(1e3 * best.latency_s.mean)} ms and p99 of "
        f"{figures(1e3 * best.latency_s.p99)} ms.</p><pre>{escape(chr(10).join(lines))}</pre>"
    )


def _families(points: Sequence[Point]) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = {}
    for point in points:
        setting = point.setting
        name = setting.batching + (", by length" if setting.length_aware else "")
        found.setdefault(name, []).append(point)
    return found


def _legend(points: Sequence[Point]) -> str:
    return legend([*((name, False) for name in _families(points)), (FRONT, True)])


def _plot(
    points: Sequence[Point], statistic: str, best: Point | None, *, against_throughput: bool
) -> str:
    def place(point: Point) -> tuple[float, float]:
        latency_s = float(getattr(point.latency_s, statistic))
        return (
            point.throughput_per_s if against_throughput else point.utilisation,
            1e3 * latency_s,
        )

    on_front = [place(point) for point in front(points, statistic)]
    top = ROOM * max(latency_ms for _, latency_ms in on_front)
    dots = []
    families = _families(points)
    for slot, (name, members) in enumerate(families.items()):
        seen = [point for point in members if place(point)[1] <= top]
        titles = [_title(point) for point in seen]
        dots.append(Series(name, list(map(place, seen)), slot % COLOURS, titles=titles))
    slot = len(families) % COLOURS
    if best is not None and place(best)[1] <= top:
        large = Series("recommended", [place(best)], slot, titles=[_title(best)], radius=7.0)
        dots.insert(0, large)
    line = Series(FRONT, sorted(on_front), slot, dashed=True)
    x = (
        Axis("throughput", max(place(point)[0] for point in points), "items/s")
        if against_throughput
        else Axis("utilisation", 1.0, percent=True)
    )
    return chart.plot([line], dots, x, Axis(f"{statistic} latency", top, "ms"))


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
