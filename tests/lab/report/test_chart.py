"""What is drawn can be seen: equal lines, spans that go on, labels with room."""

from __future__ import annotations

import re

from headway.lab.report import chart
from headway.lab.report.axis import Axis
from headway.lab.report.chart import Series, Span
from headway.lab.report.colours import looks
from headway.lab.report.sections import line_chart, listed, said

LOOK = looks(["fcfs", "sjf", "srpt", "boost"])
X, Y = Axis("time", 10.0, "s"), Axis("requests", 10.0)


def line(label: str, height: float) -> Series:
    return Series(label, [(float(n), height) for n in range(11)], LOOK[label])


def test_lines_that_cover_each_other_show_their_colours_in_turn_and_are_named() -> None:
    series = [line("fcfs", 9.0), line("sjf", 3.0), line("srpt", 3.01), line("boost", 6.0)]
    page = line_chart(series, X, Y)
    assert "Almost the same here: sjf and srpt;" in page
    broad = page.split('class="slim"')[0]
    of_line = (
        r'class="line c-(\w+)" points="[^"]*" stroke-dasharray="10 10" stroke-dashoffset="(\S+)"'
    )
    assert re.findall(of_line, broad) == [("sjf", "0"), ("srpt", "-10")]


def test_lines_that_differ_are_not_called_the_same() -> None:
    assert "Almost" not in line_chart([line("fcfs", 9.0), line("sjf", 8.0)], X, Y)


def test_every_chart_is_drawn_for_a_narrow_window_too() -> None:
    series = [line("fcfs", 9.0)]
    for svg in (
        chart.lines(series, X, Y),
        chart.ranges(["a"], [Series("fcfs", [(1.0, 2.0)], LOOK["fcfs"])], X),
        chart.gantt([Span(0, 0.0, 1.0, "request 1")], 1, X, LOOK["fcfs"]),
    ):
        broad, slim = svg.split('<div class="slim">')
        assert 'viewBox="0 0 860 ' in broad and 'viewBox="0 0 340 ' in slim


def test_a_span_that_goes_on_ends_with_its_panel() -> None:
    svg = chart.gantt([Span(0, 9.0, 99.0, "request 1")], 1, X, LOOK["fcfs"])
    left, width = map(float, re.findall(r'x="(\S+)" y="\S+" width="(\S+)"', svg)[0])
    assert left + width <= 860 - chart.RIGHT


def test_names_with_commas_are_listed_with_semicolons() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["fcfs, shared", "srpt, shared"]) == "fcfs, shared; and srpt, shared"


def test_the_first_remark_is_the_headline_and_what_is_typed_is_code() -> None:
    page = said(["a < b.", "Try --load 0.9, or `headway plan`."])
    assert page.startswith("<p class=headline>a &lt; b.</p><p>Try <code>--load 0.9</code>, or ")
    assert "<code>headway plan</code>" in page
