"""A comparison as one self-contained HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from headway.lab.report import chart
from headway.lab.report.axis import Axis
from headway.lab.report.chart import Series, Span
from headway.lab.report.colours import Look, looks
from headway.lab.report.figures import figures
from headway.lab.report.page import facts, figure, folded, legend, page, section, swatch, table
from headway.lab.report.sections import latency_section, line_chart, said
from headway.lab.simulation.comparison import Run, Scenario
from headway.lab.simulation.measures import alone_s
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.result import SimulationResult
from headway.lab.simulation.table import MEANINGS, cells_of

POINTS = 300
"""Points of a line: more cannot be seen."""
MOST_SLOTS = 64
"""Rows of a Gantt chart."""
GANTT_SPANS = 250
MOST_GANTTS = 5
"""More of them are folded."""


def report_html(
    result: SimulationResult, scenario: Scenario, by_load: Mapping[float, SimulationResult]
) -> str:
    """The page: table, latency distribution, queue over time, slots, tenants, latency by load."""
    look = looks(result.runs)
    sections = [
        section("Result", said(result.remarks) + _table(result, look)),
        latency_section(_distribution(result, look)),
        section(
            "Requests in the system",
            "<p>Waiting or running, over time. The area under a line is the sum of all "
            "latencies.</p>" + _in_system(result, look),
        ),
        section("Slots", _gantts(result, scenario, look)),
    ]
    if len(set(scenario.traces[0].tenants)) > 1:
        sections.append(
            section(
                "Tenants",
                "<p>Slowdown of each tenant's requests, latency over the time alone on the idle "
                "engine: dots are means, lines reach to p99.</p>"
                + legend(look.items())
                + _tenants(result, scenario, look),
            )
        )
    if scenario.cluster.scaling or scenario.cluster.failures:
        sections.append(
            section(
                "Replicas",
                "<p>How many are on or starting, over time.</p>" + _replicas(result, look),
            )
        )
    if by_load:
        sections.append(
            section(
                "Latency against load",
                "<p>Mean latency where arrivals are scaled to a share of what the engines can "
                "take.</p>" + _loads(by_load, look),
            )
        )
    asked = {name: str(value) for name, value in result.settings.items()}
    sections.append(section("Settings", facts(asked)))
    return page("Headway simulate", datetime.now(UTC), sections)


def table_html(
    title: str,
    remarks: Sequence[str],
    cells: tuple[Sequence[str], Sequence[Sequence[str]]],
    asked: Mapping[str, str],
) -> str:
    """The page of what has no distributions to draw: sentences, the table, and what was asked."""
    headings, rows = cells
    return page(
        title,
        datetime.now(UTC),
        [
            section("Result", said(remarks) + table(headings, rows, MEANINGS)),
            section("Settings", facts(asked)),
        ],
    )


def _table(result: SimulationResult, look: Mapping[str, Look]) -> str:
    headings, rows = cells_of(result)
    targets = {str(target): "what was reached of it" for target in result.objective.statistics}
    return table(headings, rows, MEANINGS | targets, [swatch(look[row[0]]) for row in rows])


def _first_runs(result: SimulationResult) -> list[Run]:
    return [runs[0] for runs in result.runs.values()]


def _distribution(result: SimulationResult, look: Mapping[str, Look]) -> list[Series]:
    series = []
    shares = np.linspace(0.0, 1.0, POINTS)
    for run in _first_runs(result):
        latency_s = run.outcome.latency_s
        latency_s = latency_s[np.isfinite(latency_s)]
        places = np.quantile(latency_s, shares) if len(latency_s) else np.zeros(POINTS)
        points = list(zip(places.tolist(), shares.tolist(), strict=True))
        series.append(Series(run.label, points, look[run.label]))
    return series


def _in_system(result: SimulationResult, look: Mapping[str, Look]) -> str:
    runs = _first_runs(result)
    last_s = max(float(np.nanmax(run.outcome.ended_s, initial=0.0)) for run in runs)
    at_s = np.linspace(0.0, last_s, POINTS)
    series = []
    for run in runs:
        outcome = run.outcome
        ended = np.where(outcome.finished, outcome.ended_s, outcome.released_s)
        came = np.searchsorted(np.sort(outcome.released_s), at_s, side="right")
        left = np.searchsorted(np.sort(ended), at_s, side="right")
        points = list(zip(at_s.tolist(), (came - left).tolist(), strict=True))
        series.append(Series(run.label, points, look[run.label]))
    most = max(count for one in series for _, count in one.points)
    return line_chart(series, Axis("time", last_s, "s"), Axis("requests", most, whole=True))


def _gantts(result: SimulationResult, scenario: Scenario, look: Mapping[str, Look]) -> str:
    """A panel for each run, all over the same time: as far as the spans of all are known."""
    runs = _first_runs(result)
    tokens = scenario.traces[0].output_tokens
    placed = [_placed(run.outcome, tokens) for run in runs]
    ends_s = [span.end for spans in placed for span in spans]
    cuts_s = [spans[GANTT_SPANS].begin for spans in placed if len(spans) > GANTT_SPANS]
    x = Axis("time", min([*cuts_s, max(ends_s, default=1.0)]), "s")
    until = f", to {figures(x.top)} s" if cuts_s else ""
    rows = 1 + max((span.row for spans in placed for span in spans), default=0)
    limit = f" Of more than {MOST_SLOTS} slots, the first." if rows == MOST_SLOTS else ""
    shown = [[span for span in spans if span.begin < x.top] for spans in placed]
    charts = "".join(
        figure(run.label, look[run.label], chart.gantt(spans, rows, x, look[run.label]))
        for run, spans in zip(runs, shown, strict=True)
    )
    return (
        f"<p>Which request ran when{until}: each bar is a stretch of time in which a request held "
        f"a slot, without a stop. Point at it to see its request.{limit}</p>"
        + (charts if len(runs) <= MOST_GANTTS else folded(f"All {len(runs)} rows", charts))
    )


def _placed(outcome: Outcome, tokens: np.ndarray) -> list[Span]:
    """Each stretch of service in the lowest free row, as far as there are rows, by its begin; one
    more than is drawn."""
    free_from: list[float] = []
    spans: list[Span] = []
    for number, backend, begin_s, end_s in sorted(outcome.spans, key=_begin):
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
        spans.append(Span(row, begin_s, end_s, title))
        if len(spans) > GANTT_SPANS:
            break
    return spans


def _begin(span: tuple[int, int, float, float]) -> float:
    return span[2]


def _tenants(result: SimulationResult, scenario: Scenario, look: Mapping[str, Look]) -> str:
    trace = scenario.traces[0]
    tenants = [name for name, _ in Counter(trace.tenants).most_common(12)]
    of_tenant = {name: np.array([tenant == name for tenant in trace.tenants]) for name in tenants}
    alone = alone_s(trace, scenario.sites[0].profile)
    series = []
    for run in _first_runs(result):
        slowdown = run.outcome.latency_s / alone
        values, titles = [], []
        for name in tenants:
            of_one = slowdown[of_tenant[name] & run.outcome.finished]
            mean, p99 = (
                (float(of_one.mean()), float(np.quantile(of_one, 0.99))) if len(of_one) else (0, 0)
            )
            values.append((mean, p99))
            titles.append(f"{name}, {run.label}: mean {figures(mean)}, p99 {figures(p99)}")
        series.append(Series(run.label, values, look[run.label], titles))
    both = [value for one in series for pair in one.points for value in pair]
    return chart.ranges(tenants, series, Axis.fitting("slowdown", both))


def _replicas(result: SimulationResult, look: Mapping[str, Look]) -> str:
    runs = _first_runs(result)
    last_s = max(span[2] for run in runs for span in run.outcome.on_spans)
    at_s = np.linspace(0.0, last_s, POINTS)
    series = []
    for run in runs:
        began_s, ended_s = (np.sort([span[n] for span in run.outcome.on_spans]) for n in (1, 2))
        on = np.searchsorted(began_s, at_s, side="right") - np.searchsorted(ended_s, at_s)
        points = list(zip(at_s.tolist(), on.tolist(), strict=True))
        series.append(Series(run.label, points, look[run.label]))
    most = max(count for one in series for _, count in one.points)
    return line_chart(series, Axis("time", last_s, "s"), Axis("replicas", most, whole=True))


def _loads(by_load: Mapping[float, SimulationResult], look: Mapping[str, Look]) -> str:
    series = [
        Series(
            label,
            [(load, of.mean(label, "latency_s", "mean")) for load, of in sorted(by_load.items())],
            look[label],
        )
        for label in look
    ]
    means_s = [latency_s for one in series for _, latency_s in one.points]
    y = Axis.fitting("mean latency", means_s, "s")
    return line_chart(series, Axis("load", max(by_load)), y)
