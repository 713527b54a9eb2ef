"""Small charts as inline SVG: lines, points, ranges, bars of time.

Each is drawn twice, for a wide and for a narrow window; the page's CSS shows one of them, as the
text of a picture that is shrunk cannot be read. Colours and fonts come from the CSS, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from headway.lab.report.axis import Axis
from headway.lab.report.colours import Look

TOP, BOTTOM, RIGHT = 10, 40, 20
CHARACTER = 6.6
"""Width of a digit in a tick's label, in pixels."""
WIDE, NARROW = 860, 340
"""Widths of a chart in the two windows."""
SAME = 3.0
"""Pixels: lines that are no further apart cover each other."""
MOSTLY = 0.9
"""Share of their points of which that has to be true."""
STRETCH = 10
"""Pixels of each colour of lines that are the same."""


@dataclass(frozen=True, slots=True)
class Series:
    """Points that belong together."""

    label: str
    points: Sequence[tuple[float, float]]
    look: Look
    titles: Sequence[str] = ()
    """Tooltip of each point; may be empty."""
    radius: float = 3.0
    """Of a dot, in pixels."""
    hollow: bool = False
    """Whether a dot is a ring."""


class Frame:
    """Axes, grid and the drawing area of one chart. Without a y axis the grid is of the x axis."""

    def __init__(self, x: Axis, y: Axis | None, width: int, height: int) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height
        self._most = 5 if width == WIDE else 4
        self._parts: list[str] = []
        self.left = 14.0
        if y is None:
            return
        ticks = y.ticks(self._most)
        self.left = 30 + CHARACTER * max(len(y.text(tick)) for tick in ticks)
        for tick in ticks:
            at = self.y_px(tick)
            self._parts.append(
                f'<line class="grid" x1="{self.left:.0f}" x2="{width - RIGHT}" y1="{at:.1f}" '
                f'y2="{at:.1f}"/><text class="tick" x="{self.left - 8:.0f}" y="{at + 4:.1f}" '
                f'text-anchor="end">{y.text(tick)}</text>'
            )

    def x_px(self, value: float) -> float:
        """Pixels from the left edge."""
        return self.left + self.x.place(value) * (self.width - self.left - RIGHT)

    def y_px(self, value: float) -> float:
        """Pixels from the upper edge."""
        assert self.y is not None
        return self.height - BOTTOM - self.y.place(value) * (self.height - TOP - BOTTOM)

    def draw(self, part: str) -> None:
        """Put SVG on top of what is there."""
        self._parts.append(part)

    def draw_x_ticks(self) -> None:
        """Label the x axis with its numbers, as far as they have room."""
        free_px = -math.inf
        for tick in self.x.ticks(self._most):
            text, at = self.x.text(tick), self.x_px(tick)
            half = CHARACTER * len(text) / 2.0
            if at - half < free_px:
                continue
            free_px = at + half + CHARACTER
            if self.y is None:
                self._parts.append(
                    f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" '
                    f'y2="{self.height - BOTTOM}"/>'
                )
            self._parts.append(
                f'<text class="tick" x="{at:.1f}" y="{self.height - BOTTOM + 16}" '
                f'text-anchor="middle">{escape(text)}</text>'
            )

    def svg(self) -> str:
        """The finished chart."""
        base = self.height - BOTTOM
        middle = (TOP + base) / 2
        x_name = escape(self.x.name)
        label, y_text = x_name, ""
        if self.y is not None:
            y_name = escape(self.y.name)
            label = f"{y_name} over {x_name}"
            y_text = (
                f'<text class="name" x="12" y="{middle}" text-anchor="middle" '
                f'transform="rotate(-90 12 {middle})">{y_name}</text>'
            )
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{label}">'
            + "".join(self._parts)
            + f'<line class="axis" x1="{self.left:.0f}" x2="{self.width - RIGHT}" y1="{base}" '
            f'y2="{base}"/><text class="name" x="{(self.left + self.width - RIGHT) / 2:.0f}" '
            f'y="{self.height - 6}" text-anchor="middle">{x_name}</text>{y_text}</svg>'
        )


def both(draw: Callable[[int], str]) -> str:
    """What `draw` makes of each of the two widths."""
    return f'<div class="broad">{draw(WIDE)}</div><div class="slim">{draw(NARROW)}</div>'


def lines(series: Sequence[Series], x: Axis, y: Axis) -> str:
    """One line for each series; lines that are the same show their colours in turn."""
    return plot(series, (), x, y)


def points(series: Series, x: Axis, y: Axis) -> str:
    """A dot for every point, in a panel of one of several columns."""
    frame = Frame(x, y, 300, 210)
    frame.draw_x_ticks()
    _draw_dots(frame, series)
    return frame.svg()


def plot(lines: Sequence[Series], dots: Sequence[Series], x: Axis, y: Axis) -> str:
    """One line for each of `lines`, and on top of them a dot for every point of `dots`."""
    groups = same_lines(lines, x, y)

    def draw(width: int) -> str:
        frame = Frame(x, y, width, 320 if width == WIDE else 250)
        frame.draw_x_ticks()
        paths = [
            " ".join(f"{frame.x_px(a):.1f},{frame.y_px(b):.1f}" for a, b in one.points)
            for one in lines
        ]
        shared = {label: group for group in groups for label in group}
        for one, path in zip(lines, paths, strict=True):
            if one.label in shared:  # faint as a whole, for where such lines part
                frame.draw(f'<polyline class="line faint {one.look.css}" points="{path}"/>')
        for one, path in zip(lines, paths, strict=True):
            dashed, group = _dasharray(one.look.dashes), shared.get(one.label, [one.label])
            if len(group) > 1:
                dashed = _dasharray(f"{STRETCH} {STRETCH * (len(group) - 1)}")
                dashed += f' stroke-dashoffset="{-STRETCH * group.index(one.label)}"'
            frame.draw(
                f'<polyline class="line {one.look.css}" points="{path}"{dashed}>'
                f"<title>{escape(' = '.join(group))}</title></polyline>"
            )
        for one in dots:
            _draw_dots(frame, one)
        return frame.svg()

    return both(draw)


def same_lines(series: Sequence[Series], x: Axis, y: Axis) -> list[list[str]]:
    """Labels of lines that would cover each other, in groups of at least two."""
    groups: list[list[Series]] = []
    for one in series:
        for group in groups:
            if _same(group[0], one, x, y):
                group.append(one)
                break
        else:
            groups.append([one])
    return [[one.label for one in group] for group in groups if len(group) > 1]


def _same(first: Series, second: Series, x: Axis, y: Axis) -> bool:
    if len(first.points) != len(second.points):
        return False
    near = sum(
        math.hypot(WIDE * (x.place(a) - x.place(c)), 270 * (y.place(b) - y.place(d))) <= SAME
        for (a, b), (c, d) in zip(first.points, second.points, strict=True)
    )
    return near >= MOSTLY * len(first.points)


def _draw_dots(frame: Frame, series: Series) -> None:
    for number, (a, b) in enumerate(series.points):
        title = f"<title>{escape(series.titles[number])}</title>" if series.titles else ""
        ring = " ring" if series.hollow else ""
        frame.draw(
            f'<circle class="dot{ring} {series.look.css}" cx="{frame.x_px(a):.1f}" '
            f'cy="{frame.y_px(b):.1f}" r="{series.radius:g}">{title}</circle>'
        )


def ranges(groups: Sequence[str], series: Sequence[Series], x: Axis) -> str:
    """For each group a row a series: a dot at its value and a line to its upper mark.

    Args:
        groups: names of the groups.
        series: the n-th point is (value, upper mark) in the n-th group.
        x: the axis of both.
    """

    room, heading = 13, 24
    of_group = heading + room * len(series)

    def draw(width: int) -> str:
        frame = Frame(x, None, width, TOP + BOTTOM + of_group * len(groups))
        frame.draw_x_ticks()
        for number, name in enumerate(groups):
            top = TOP + of_group * number
            frame.draw(f'<text class="group" x="14" y="{top + 17}">{escape(name)}</text>')
            for place, one in enumerate(series):
                value, upper = map(frame.x_px, one.points[number])
                middle = top + heading + room * (place + 0.5)
                title = escape(one.titles[number]) if one.titles else escape(one.label)
                frame.draw(
                    f'<g class="range {one.look.css}"><title>{title}</title>'
                    f'<path d="M{value:.1f} {middle:g}H{upper:.1f}"'
                    f'{_dasharray(one.look.dashes)}/><path d="M{upper:.1f} {middle - 4:g}v8"/>'
                    f'<circle cx="{value:.1f}" cy="{middle:g}" r="4"/></g>'
                )
        return frame.svg()

    return both(draw)


def _dasharray(dashes: str) -> str:
    return f' stroke-dasharray="{dashes}"' if dashes else ""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in one row of a Gantt chart."""

    row: int
    begin: float
    end: float
    title: str


def gantt(spans: Sequence[Span], rows: int, x: Axis, look: Look) -> str:
    """Which request occupied which row when; spans end at the end of `x`."""
    y = Axis("slot", rows, whole=True)

    def draw(width: int) -> str:
        frame = Frame(x, y, width, TOP + BOTTOM + min(220, max(40, rows * 12)))
        frame.draw_x_ticks()
        tall = max(1.5, (frame.y_px(0.0) - frame.y_px(1.0)) - 1.5)
        for span in spans:
            left, right = frame.x_px(span.begin), frame.x_px(min(span.end, x.top))
            top = frame.y_px(span.row + 1.0) + 0.75
            # A narrow window is that of a phone, where nothing can be pointed at.
            title = f"<title>{escape(span.title)}</title>" if width == WIDE else ""
            frame.draw(
                f'<rect class="span {look.css}" x="{left:.1f}" y="{top:.1f}" '
                f'width="{max(0.5, right - left - 0.5):.1f}" height="{tall:.1f}">{title}</rect>'
            )
        return frame.svg()

    return both(draw)
