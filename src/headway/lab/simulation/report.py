"""A comparison as one self-contained HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape

import numpy as np

from headway.lab.report import chart
from headway.lab.report.chart import Axis, Series, Span
from headway.lab.report.figures import figures
from headway.lab.report.page import COLOURS, facts, figure, legend, page, section, swatch, table
from headway.lab.report.sections import latency_section
from headway.lab.simulation.comparison import ORACLE, Run, Scenario, parts_of
from headway.lab.simulation.measures import alone_s
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.result import SimulationResult
from headway.lab.simulation.table import cells_of

POINTS = 300
"""Points of a line: more cannot be seen."""
MOST_SLOTS = 64
"""Rows of a Gantt chart."""
GANTT_SPANS = 250


def report_html(
    result: SimulationResult, scenario: Scenario, by_load: Mapping[float, SimulationResult]
) -> str:
    """The page: table, latency distribution, queue over time, slots, tenants, latency by load."""
    sections = [
        section("Result", _headline(result) + _table(result)),
        latency_section(_distribution(result)),
        section(
            "Requests in the system",
            "<p>Waiting or running, over time. The area under a line is the sum of all "
            "latencies.</p>" + _legend(result) + _in_system(result),
        ),
        section(
            "Slots",
            "<p>Which request ran when, at first: each bar is a stretch of service. "
            "Point at it to see its request.</p>" + _gantts(result, scenario),
        ),
    ]
    if len(set(scenario.traces[0].tenants)) > 1:
        sections.append(
            section(
                "Tenants",
                "<p>Slowdown of each tenant's requests: bars are means, whiskers reach to "
                "p99.</p>" + _legend(result) + _tenants(result, scenario),
            )
        )
    if scenario.cluster.scaling or scenario.cluster.failures:
        sections.append(
            section(
                "Replicas",
                "<p>How many are on or starting, over time.</p>"
                + _legend(result)
                + _replicas(result),
            )
        )
    if by_load:
        sections.append(
            section(
                "Latency against load",
                "<p>Mean latency where arrivals are scaled to a share of what the engines can "
                "take.</p>" + _legend(result) + _loads(result, by_load),
            )
        )
    asked = {name: str(value) for name, value in result.settings.items()}
    sections.append(section("Settings", facts(asked)))
    return page("Headway simulate", datetime.now(UTC), sections)


def _headline(result: SimulationResult) -> str:
    if "fcfs" not in result.runs:
        return ""
    means = {label: result.mean(label, "latency_s", "mean") for label in result.runs}
    best = min((label for label in means if not _is_oracle(label)), key=means.__getitem__)
    if best == "fcfs" or not means["fcfs"]:
        return ""
    worst_s = [result.mean(label, "wait_s", "max") for label in (best, "fcfs")]
    return (
        f'<p class="headline"><b>{escape(best)}</b> has {means[best] / means["fcfs"]:.2f}&times; '
        f"the mean latency of fcfs; its worst wait is {figures(worst_s[0])} s, under fcfs "
        f"{figures(worst_s[1])} s.</p>"
    )


def _table(result: SimulationResult) -> str:
    headings, rows = cells_of(result)
    swatches = [swatch(slot, _is_oracle(row[0])) for slot, row in enumerate(rows)]
    return (
        table(["", *headings[1:]], rows, swatches)
        + '<p class="note">mean and percentiles are of latency: from when a request was sent '
        "to its last token. Slowdown: latency over the time that the same request takes alone on "
        "the idle engine. Cold wait: share of all waiting for a first slot during which a replica "
        "was started and not ready yet. Oracle gain: share of what knowing every length would gain "
        "over fcfs.</p>"
    )


def _legend(result: SimulationResult) -> str:
    return legend((label, _is_oracle(label)) for label in result.runs)


def _is_oracle(label: str) -> bool:
    return parts_of(label)[0] == ORACLE


def _first_runs(result: SimulationResult) -> list[Run]:
    return [runs[0] for runs in result.runs.values()]


def _distribution(result: SimulationResult) -> list[Series]:
    series = []
    shares = np.linspace(0.0, 1.0, POINTS)
    for slot, run in enumerate(_first_runs(result)):
        latency_s = run.outcome.latency_s
        latency_s = latency_s[np.isfinite(latency_s)]
        places = np.quantile(latency_s, shares) if len(latency_s) else np.zeros(POINTS)
        points = list(zip(places.tolist(), shares.tolist(), strict=True))
        series.append(Series(run.label, points, slot % COLOURS, _is_oracle(run.label)))
    return series


def _in_system(result: SimulationResult) -> str:
    runs = _first_runs(result)
    last_s = max(float(np.nanmax(run.outcome.ended_s, initial=0.0)) for run in runs)
    at_s = np.linspace(0.0, last_s, POINTS)
    series = []
    for slot, run in enumerate(runs):
        outcome = run.outcome
        ended = np.where(outcome.finished, outcome.ended_s, outcome.released_s)
        came = np.searchsorted(np.sort(outcome.released_s), at_s, side="right")
        left = np.searchsorted(np.sort(ended), at_s, side="right")
        points = list(zip(at_s.tolist(), (came - left).tolist(), strict=True))
        series.append(Series(run.label, points, slot % COLOURS, _is_oracle(run.label)))
    most = max(max(count for _, count in one.points) for one in series)
    return chart.lines(series, Axis("time", last_s, "s"), Axis("requests", max(1.0, most)))


def _gantts(result: SimulationResult, scenario: Scenario) -> str:
    figures_of_runs = []
    for slot, run in enumerate(_first_runs(result)):
        spans, rows = _spans(run.outcome, slot % COLOURS, scenario.traces[0].output_tokens)
        last_s = max((span.end for span in spans), default=1.0)
        svg = chart.gantt(spans, rows, Axis("time", last_s, "s"))
        figures_of_runs.append(figure(slot, run.label, svg, _is_oracle(run.label)))
    return "".join(figures_of_runs)


def _spans(outcome: Outcome, colour: int, tokens: np.ndarray) -> tuple[list[Span], int]:
    """Each stretch of service in the lowest free row, and the number of rows."""
    free_from: list[float] = []
    spans = []
    for number, backend, begin_s, end_s in sorted(outcome.spans, key=_begin)[:GANTT_SPANS]:
        row = next((n for n, free_s in enumerate(free_from) if free_s <= begin_s), len(free_from))
        if row == MOST_SLOTS:
            continue
        if row == len(free_from):
            free_from.append(0.0)
        free_from[row] = end_s
        title = (
            f"request {number + 1}, {tokens[number]} tokens, on {outcome.backends[backend]}, "
            f"{figures(begin_s)} to {figures(end_s)} s"
        )
        spans.append(Span(row, begin_s, end_s, colour, title))
    return spans, len(free_from)


def _begin(span: tuple[int, int, float, float]) -> float:
    return span[2]


def _tenants(result: SimulationResult, scenario: Scenario) -> str:
    trace = scenario.traces[0]
    tenants = [name for name, _ in Counter(trace.tenants).most_common(12)]
    of_tenant = {name: np.array([tenant == name for tenant in trace.tenants]) for name in tenants}
    alone = alone_s(trace, scenario.sites[0].profile)
    series, worst = [], 0.0
    for slot, run in enumerate(_first_runs(result)):
        slowdown = run.outcome.latency_s / alone
        values = []
        for name in tenants:
            of_one = slowdown[of_tenant[name] & run.outcome.finished]
            values.append(
                (float(of_one.mean()), float(np.quantile(of_one, 0.99))) if len(of_one) else (0, 0)
            )
        worst = max(worst, *(upper for _, upper in values))
        series.append(Series(run.label, values, slot % COLOURS))
    return chart.bars(tenants, series, Axis("slowdown", worst))


def _replicas(result: SimulationResult) -> str:
    runs = _first_runs(result)
    last_s = max(span[2] for run in runs for span in run.outcome.on_spans)
    at_s = np.linspace(0.0, last_s, POINTS)
    series = []
    for slot, run in enumerate(runs):
        began_s, ended_s = (np.sort([span[n] for span in run.outcome.on_spans]) for n in (1, 2))
        on = np.searchsorted(began_s, at_s, side="right") - np.searchsorted(ended_s, at_s)
        points = list(zip(at_s.tolist(), on.tolist(), strict=True))
        series.append(Series(run.label, points, slot % COLOURS, _is_oracle(run.label)))
    most = max(count for one in series for _, count in one.points)
    return chart.lines(series, Axis("time", last_s, "s"), Axis("replicas", most))


def _loads(result: SimulationResult, by_load: Mapping[float, SimulationResult]) -> str:
    series = [
        Series(
            label,
            [(load, of.mean(label, "latency_s", "mean")) for load, of in sorted(by_load.items())],
            slot % COLOURS,
            _is_oracle(label),
        )
        for slot, label in enumerate(result.runs)
    ]
    worst_s = max(latency_s for one in series for _, latency_s in one.points)
    return chart.lines(series, Axis("load", max(by_load)), Axis("mean latency", worst_s, "s"))
