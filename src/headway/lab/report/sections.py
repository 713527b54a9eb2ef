"""Sections that the pages of load tests and simulations share."""

from __future__ import annotations

from collections.abc import Sequence

from headway.lab.report import chart
from headway.lab.report.chart import Axis, Series
from headway.lab.report.page import legend, section


def latency_section(series: Sequence[Series]) -> str:
    """The distribution of latency: each point is seconds and a share of requests, ascending."""
    worst_s = max((one.points[-1][0] for one in series), default=1.0)
    return section(
        "Latency, all requests",
        "<p>Share of requests answered completely within a time; further left is better. "
        "A long tail to the right is the price of a good mean.</p>"
        + legend((one.label, one.dashed) for one in series)
        + chart.lines(series, Axis("latency", worst_s, "s"), Axis("requests", 1.0, percent=True)),
    )
