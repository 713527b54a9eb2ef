"""A load test as one self-contained HTML page: no script, no request to anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from headway.lab.loadtest.client import RequestResult
from headway.lab.loadtest.metrics import mean, percentile, variation
from headway.lab.loadtest.result import BenchResult, Row
from headway.lab.loadtest.table import MEANINGS, cells_of, errors_of
from headway.lab.report import chart
from headway.lab.report.axis import Axis
from headway.lab.report.chart import Series
from headway.lab.report.colours import Look, looks
from headway.lab.report.figures import figures
from headway.lab.report.page import facts, figure, legend, page, panels, section, swatch, table
from headway.lab.report.sections import latency_section, said


def report_html(result: BenchResult, remarks: Sequence[str]) -> str:
    """The page: table, latency distribution, latency of each request, TTFT by tier, settings.

    Args:
        result: the measurement.
        remarks: what is said before the table.
    """
    look = looks(row.label for row in result.rows)
    sections = [
        section("Result", said(remarks) + _table(result, look) + _errors(result)),
        latency_section(_distribution(result.rows, look)),
        section(
            "Latency by answer length",
            "<p>Each dot is a request: its answer's length against its latency. "
            "Short requests at the lower left were not held up by long ones.</p>"
            + panels(_by_length(result.rows, look)),
        ),
        section(
            "Over time",
            "<p>Latency of each request, in order of arrival.</p>"
            + panels(_by_arrival(result.rows, look)),
        ),
        section(
            "Time to first token, by tier",
            "<p>Dots are medians, lines reach to p99.</p>"
            + legend(look.items())
            + _ttft_by_tier(result.rows, look),
        ),
        section("The load", _load(result)),
        section("Settings", _settings(result)),
    ]
    return page("Headway bench", result.created, sections)


def _table(result: BenchResult, look: Mapping[str, Look]) -> str:
    headings, rows = cells_of(result)
    best = min(
        (number for number, row in enumerate(result.rows) if not row.oracle),
        key=lambda number: result.rows[number].summary.latency_mean_s,
        default=None,
    )
    swatches = [swatch(look[row.label]) for row in result.rows]
    return table(headings, rows, MEANINGS, swatches, best if len(rows) > 1 else None)


def _errors(result: BenchResult) -> str:
    return "".join(f'<p class="error">{escape(line)}</p>' for line in errors_of(result))


def _good(row: Row) -> list[RequestResult]:
    return [outcome for outcome in row.outcomes if outcome.ok]


def _distribution(rows: Sequence[Row], look: Mapping[str, Look]) -> list[Series]:
    series = []
    for row in rows:
        latencies = sorted(outcome.latency_s for outcome in _good(row))
        steps = [(latencies[0] if latencies else 0.0, 0.0)]
        for number, latency_s in enumerate(latencies, 1):
            steps += [(latency_s, steps[-1][1]), (latency_s, number / len(latencies))]
        series.append(Series(row.label, steps, look[row.label]))
    return series


def _by_length(rows: Sequence[Row], look: Mapping[str, Look]) -> list[str]:
    outcomes = [outcome for row in rows for outcome in _good(row)]
    x = Axis("output tokens", max((o.output_tokens for o in outcomes), default=1), whole=True)
    y = Axis.fitting("latency", [o.latency_s for o in outcomes], "s")
    return [
        _dots(row, look, [(float(o.output_tokens), o) for o in _good(row)], x, y) for row in rows
    ]


def _by_arrival(rows: Sequence[Row], look: Mapping[str, Look]) -> list[str]:
    outcomes = [outcome for row in rows for outcome in _good(row)]
    last_s = max((o.request.at_s for o in outcomes), default=0.0)
    y = Axis.fitting("latency", [o.latency_s for o in outcomes], "s")
    count = max((len(run) for row in rows for run in row.runs), default=1)
    x = Axis("arrival", last_s, "s") if last_s else Axis("number in the burst", count, whole=True)
    charts = []
    for row in rows:
        placed = [
            (o.request.at_s if last_s else float(number), o)
            for run in row.runs
            for number, o in enumerate(run, 1)
            if o.ok
        ]
        charts.append(_dots(row, look, placed, x, y))
    return charts


def _dots(
    row: Row,
    look: Mapping[str, Look],
    placed: Sequence[tuple[float, RequestResult]],
    x: Axis,
    y: Axis,
) -> str:
    """A panel with a dot for the latency of each request, at its place on `x`."""
    points = [(place, result.latency_s) for place, result in placed]
    titles = [_describe(result) for _, result in placed]
    svg = chart.points(Series(row.label, points, look[row.label], titles), x, y)
    return figure(row.label, look[row.label], svg)


def _describe(outcome: RequestResult) -> str:
    question = outcome.request.messages[-1]["content"]
    short = question if len(question) <= 80 else question[:77] + "…"
    return (
        f"{short}\n{outcome.output_tokens} tokens in {figures(outcome.latency_s)} s, first after "
        f"{figures(outcome.ttft_s or 0.0)} s, preempted {outcome.preemptions} times"
    )


def _ttft_by_tier(rows: Sequence[Row], look: Mapping[str, Look]) -> str:
    order = {"interactive": 0, "": 1, "standard": 1, "batch": 2}
    tiers = sorted({o.request.tier for row in rows for o in row.outcomes}, key=order.__getitem__)
    series = []
    for row in rows:
        values, titles = [], []
        for tier in tiers:
            ttfts = [
                o.ttft_s for o in _good(row) if o.request.tier == tier and o.ttft_s is not None
            ]
            middle, upper = percentile(ttfts, 0.5), percentile(ttfts, 0.99)
            values.append((middle, upper))
            titles.append(f"{row.label}: median {figures(middle)} s, p99 {figures(upper)} s")
        series.append(Series(row.label, values, look[row.label], titles))
    names = [tier or "all requests" for tier in tiers]
    seconds = [value for one in series for pair in one.points for value in pair]
    return chart.ranges(names, series, Axis.fitting("time to first token", seconds, "s"))


def _load(result: BenchResult) -> str:
    first = result.rows[0]
    lengths = [float(o.output_tokens) for o in _good(first)]
    arrivals = [o.request.at_s for o in first.runs[0]] if first.runs else []
    span_s = max(arrivals, default=0.0)
    found = {
        "requests in a run": f"{len(arrivals)}",
        "arrivals": f"over {figures(span_s)} s" if span_s else "all at once",
        "output tokens": f"mean {mean(lengths):.0f}, median {percentile(lengths, 0.5):.0f}, "
        f"p99 {percentile(lengths, 0.99):.0f}, coefficient of variation {variation(lengths):.2f}",
        "alone on the idle server": f"first token after {figures(first.solo.ttft_s(0))} s, "
        f"then {first.solo.decode_s_per_token * 1000:.1f} ms a token",
        "in the system": "; ".join(
            f"{row.label} {row.summary.in_system:.1f}" for row in result.rows
        )
        + " requests on average, waiting or running",
    }
    return facts(found)


def _settings(result: BenchResult) -> str:
    return facts({name: str(value) for name, value in result.settings.items()})
