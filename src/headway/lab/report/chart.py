"""Small charts as inline SVG: lines, points, bars. Colours and fonts come from the page's CSS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LEFT, RIGHT, TOP, BOTTOM = 52, 20, 10, 40


@dataclass(frozen=True, slots=True)
class Series:
    """Points that belong together, drawn in the colour of `slot` (CSS classes c0, c1, …)."""

    label: str
    points: Sequence[tuple[float, float]]
    slot: int
    dashed: bool = False
    titles: Sequence[str] = ()
    """Tooltip of each point; may be empty."""
    radius: float = 3.0
    """Of a dot, in pixels."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis from 0 to at least `top`, with round ticks."""

    label: str
    top: float
    unit: str = ""
    percent: bool = False

    @property
    def step(self) -> float:
        """Distance of two ticks."""
        raw = max(self.top, 1e-9) / 5
        power = 10.0 ** math.floor(math.log10(raw))
        return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)

    @property
    def end(self) -> float:
        """Value at the axis' end: the first tick that holds `top`."""
        return self.step * math.ceil(max(self.top, 1e-9) / self.step - 1e-6)

    @property
    def ticks(self) -> list[float]:
        """All ticks, 0 included."""
        return [self.step * n for n in range(round(self.end / self.step) + 1)]

    def text(self, value: float) -> str:
        """A tick's label."""
        return f"{value:.0%}" if self.percent else f"{value:g}"


class Frame:
    """Axes, grid and the drawing area of one chart."""

    def __init__(self, x: Axis, y: Axis, width: int, height: int) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height
        self._parts: list[str] = []
        for tick in y.ticks:
            at = self.y_px(tick)
            self._parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
                f'<text class="tick" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">'
                f"{y.text(tick)}</text>"
            )

    def x_px(self, value: float) -> float:
        """Pixels from the left edge."""
        return LEFT + value / self.x.end * (self.width - LEFT - RIGHT)

    def y_px(self, value: float) -> float:
        """Pixels from the upper edge."""
        return self.height - BOTTOM - value / self.y.end * (self.height - TOP - BOTTOM)

    def draw(self, part: str) -> None:
        """Put SVG on top of what is there."""
        self._parts.append(part)

    def draw_x_ticks(self) -> None:
        """Label the x axis with its numbers."""
        for tick in self.x.ticks:
            self.label_x(self.x_px(tick), self.x.text(tick))

    def label_x(self, at: float, text: str) -> None:
        """Write below the x axis at a place in pixels."""
        self._parts.append(
            f'<text class="tick" x="{at:.1f}" y="{self.height - BOTTOM + 16}" '
            f'text-anchor="middle">{escape(text)}</text>'
        )

    def svg(self) -> str:
        """The finished chart."""
        base = self.height - BOTTOM
        x_label = f"{self.x.label} ({self.x.unit})" if self.x.unit else self.x.label
        y_label = f"{self.y.label} ({self.y.unit})" if self.y.unit else self.y.label
        middle = (TOP + base) / 2
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(y_label)} over {escape(x_label)}">'
            + "".join(self._parts)
            + f'<line class="axis" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{base}" y2="{base}"/>'
            f'<text class="name" x="{(LEFT + self.width - RIGHT) / 2}" y="{self.height - 6}" '
            f'text-anchor="middle">{escape(x_label)}</text>'
            f'<text class="name" x="12" y="{middle}" text-anchor="middle" '
            f'transform="rotate(-90 12 {middle})">{escape(y_label)}</text></svg>'
        )


def lines(series: Sequence[Series], x: Axis, y: Axis, width: int = 860, height: int = 320) -> str:
    """One line for each series."""
    return plot(series, (), x, y, width, height)


def points(series: Series, x: Axis, y: Axis, width: int = 300, height: int = 210) -> str:
    """A dot for every point."""
    return plot((), (series,), x, y, width, height)


def plot(
    lines: Sequence[Series],
    dots: Sequence[Series],
    x: Axis,
    y: Axis,
    width: int = 860,
    height: int = 320,
) -> str:
    """One line for each of `lines`, and on top of them a dot for every point of `dots`."""
    frame = Frame(x, y, width, height)
    frame.draw_x_ticks()
    for one in lines:
        path = " ".join(f"{frame.x_px(a):.1f},{frame.y_px(b):.1f}" for a, b in one.points)
        dashes = ' stroke-dasharray="6 4"' if one.dashed else ""
        frame.draw(
            f'<polyline class="line c{one.slot}" points="{path}"{dashes}>'
            f"<title>{escape(one.label)}</title></polyline>"
        )
    for one in dots:
        for number, (a, b) in enumerate(one.points):
            title = f"<title>{escape(one.titles[number])}</title>" if one.titles else ""
            frame.draw(
                f'<circle class="dot c{one.slot}" cx="{frame.x_px(a):.1f}" '
                f'cy="{frame.y_px(b):.1f}" r="{one.radius:g}">{title}</circle>'
            )
    return frame.svg()


def bars(
    groups: Sequence[str], series: Sequence[Series], y: Axis, width: int = 860, height: int = 280
) -> str:
    """Bars side by side for each group; a series' n-th point is (value, its upper mark) there."""
    frame = Frame(Axis("", 1.0), y, width, height)
    room = (width - LEFT - RIGHT) / max(1, len(groups))
    bar = min(36.0, room * 0.8 / max(1, len(series)))
    for group, name in enumerate(groups):
        middle = LEFT + (group + 0.5) * room
        frame.label_x(middle, name)
        for place, one in enumerate(series):
            value, upper = one.points[group]
            left = middle + (place - len(series) / 2) * bar
            top, mark = frame.y_px(value), frame.y_px(upper)
            tall = height - BOTTOM - top
            centre = left + bar / 2 - 1
            title = escape(one.titles[group]) if one.titles else escape(one.label)
            frame.draw(
                f'<g class="bar c{one.slot}"><title>{title}</title>'
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{bar - 2:.1f}" height="{tall:.1f}"/>'
                f'<path d="M{centre:.1f} {top:.1f}V{mark:.1f}M{centre - 5:.1f} {mark:.1f}h10"/></g>'
            )
    return frame.svg()


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in one row of a Gantt chart."""

    row: int
    begin: float
    end: float
    slot: int
    title: str


def gantt(spans: Sequence[Span], rows: int, x: Axis, width: int = 860) -> str:
    """Which request occupied which row when."""
    height = TOP + BOTTOM + min(220, max(40, rows * 12))
    frame = Frame(x, Axis("slot", rows), width, height)
    frame.draw_x_ticks()
    tall = max(1.5, (frame.y_px(0.0) - frame.y_px(1.0)) - 1.5)
    for span in spans:
        left, right = frame.x_px(span.begin), frame.x_px(span.end)
        top = frame.y_px(span.row + 1.0) + 0.75
        frame.draw(
            f'<rect class="span c{span.slot}" x="{left:.1f}" y="{top:.1f}" '
            f'width="{max(0.5, right - left - 0.5):.1f}" height="{tall:.1f}">'
            f"<title>{escape(span.title)}</title></rect>"
        )
    return frame.svg()
