"""Sections that the pages of load tests and simulations share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from headway.lab.report import chart
from headway.lab.report.axis import Axis
from headway.lab.report.chart import Series
from headway.lab.report.page import legend, section


def latency_section(series: Sequence[Series]) -> str:
    """The distribution of latency: each point is seconds and a share of requests, ascending."""
    places = [seconds for one in series for seconds, _ in one.points]
    return section(
        "Latency, all requests",
        "<p>Share of requests answered completely within a time; further left is better. "
        "A long tail to the right is the price of a good mean.</p>"
        + line_chart(series, Axis.fitting("latency", places, "s"), Axis("requests", 1.0, "", True)),
    )


def line_chart(series: Sequence[Series], x: Axis, y: Axis) -> str:
    """Lines under their legend; which of them are the same is said in words, too."""
    return (
        legend((one.label, one.look) for one in series)
        + chart.lines(series, x, y)
        + "".join(
            f'<p class="note">Almost the same here: {escape(listed(labels))}; their line shows '
            "their colours in turn.</p>"
            for labels in chart.same_lines(series, x, y)
        )
    )


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: `a`, `a and b`, `a, b and c`; with semicolons if names have commas."""
    comma = "; " if any("," in name for name in names) else ", "
    last = f"{comma}and " if comma == "; " else " and "
    return last.join([comma.join(names[:-1]), names[-1]] if len(names) > 1 else names)


def said(remarks: Sequence[str]) -> str:
    """What is said before a table: the first sentence is the headline."""
    return "".join(
        f"<p{' class=headline' if number == 0 else ''}>{_with_code(one)}</p>"
        for number, one in enumerate(remarks)
    )


def _with_code(text: str) -> str:
    """HTML of a sentence: what is to be typed is not broken."""
    return _CODE.sub(lambda found: f"<code>{found[1] or found[2]}</code>", escape(text))


_CODE = re.compile(r"`([^`]+)`|(--[a-z][a-z-]*(?: [\d.]+)?)")
