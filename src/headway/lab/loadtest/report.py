"""A load test as one self-contained HTML page: no script, no request to anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from headway.lab.loadtest.client import RequestResult
from headway.lab.loadtest.metrics import mean, percentile, variation
from headway.lab.loadtest.result import BenchResult, Row
from headway.lab.loadtest.table import cells_of, errors_of
from headway.lab.report import chart
from headway.lab.report.chart import Axis, Series
from headway.lab.report.figures import figures
from headway.lab.report.page import COLOURS, facts, figure, legend, page, section, swatch, table
from headway.lab.report.sections import latency_section


def report_html(result: BenchResult) -> str:
    """The page: table, latency distribution, latency of each request, TTFT by tier, settings."""
    best = min(result.rows, key=lambda row: row.summary.latency_mean_s)
    sections = [
        section("Result", _headline(result, best) + _table(result, best) + _errors(result)),
        latency_section(_distribution(result.rows)),
        section(
            "Latency by answer length",
            "<p>Each dot is a request: its answer's length against its latency. "
            "Short requests at the lower left were not held up by long ones.</p>"
            + _panels(result.rows, _by_length(result.rows)),
        ),
        section(
            "Over time",
            "<p>Latency of each request, in order of arrival.</p>"
            + _panels(result.rows, _by_arrival(result.rows)),
        ),
        section(
            "Time to first token, by tier",
            "<p>Bars are medians, whiskers reach to p99.</p>"
            + _legend(result.rows)
            + _ttft_by_tier(result.rows),
        ),
        section("The load", _load(result)),
        section("Settings", _settings(result)),
    ]
    return page("Headway bench", result.created, sections)


def _headline(result: BenchResult, best: Row) -> str:
    fcfs = next((row for row in result.rows if row.label == "fcfs"), None)
    if fcfs is None or best is fcfs or not best.summary.latency_mean_s:
        return ""
    ratio = best.summary.latency_mean_s / fcfs.summary.latency_mean_s
    throughput = best.summary.throughput_tokens_per_s / fcfs.summary.throughput_tokens_per_s
    return (
        f'<p class="headline"><b>{escape(best.label)}</b> has {ratio:.2f}&times; the mean '
        f"latency of fcfs, at {throughput:.2f}&times; its throughput.</p>"
    )


def _table(result: BenchResult, best: Row) -> str:
    headings, rows = cells_of(result)
    swatches = [swatch(slot, row.oracle) for slot, row in enumerate(result.rows)]
    highlighted = result.rows.index(best) if len(rows) > 1 else None
    return (
        table(["", *headings[1:]], rows, swatches, highlighted)
        + '<p class="note">mean, p50 and p99 are of end-to-end latency, from the planned arrival. '
        "Slowdown: latency over the time that the same request takes alone on the idle server. "
        "TTFT: time to first token. TPOT: time per output token after the first, pauses included. "
        "Oracle gain: share of what knowing every length would gain over fcfs.</p>"
    )


def _errors(result: BenchResult) -> str:
    return "".join(f'<p class="error">{escape(line)}</p>' for line in errors_of(result))


def _legend(rows: Sequence[Row]) -> str:
    return legend((row.label, row.oracle) for row in rows)


def _good(row: Row) -> list[RequestResult]:
    return [outcome for outcome in row.outcomes if outcome.ok]


def _distribution(rows: Sequence[Row]) -> list[Series]:
    series = []
    for slot, row in enumerate(rows):
        latencies = sorted(outcome.latency_s for outcome in _good(row))
        steps = [(0.0, 0.0)]
        for number, latency_s in enumerate(latencies, 1):
            steps += [(latency_s, steps[-1][1]), (latency_s, number / len(latencies))]
        series.append(Series(row.label, steps, slot % COLOURS, row.oracle))
    return series


def _by_length(rows: Sequence[Row]) -> list[str]:
    outcomes = [outcome for row in rows for outcome in _good(row)]
    x = Axis("output tokens", max((o.output_tokens for o in outcomes), default=1))
    y = Axis("latency", max((o.latency_s for o in outcomes), default=1.0), "s")
    return [
        _dots(slot, row, [(float(o.output_tokens), o) for o in _good(row)], x, y)
        for slot, row in enumerate(rows)
    ]


def _by_arrival(rows: Sequence[Row]) -> list[str]:
    outcomes = [outcome for row in rows for outcome in _good(row)]
    last_s = max((o.request.at_s for o in outcomes), default=0.0)
    y = Axis("latency", max((o.latency_s for o in outcomes), default=1.0), "s")
    count = max((len(run) for row in rows for run in row.runs), default=1)
    x = Axis("arrival", last_s, "s") if last_s else Axis("number in the burst", count)
    panels = []
    for slot, row in enumerate(rows):
        placed = [
            (o.request.at_s if last_s else float(number), o)
            for run in row.runs
            for number, o in enumerate(run, 1)
            if o.ok
        ]
        panels.append(_dots(slot, row, placed, x, y))
    return panels


def _dots(
    slot: int, row: Row, placed: Sequence[tuple[float, RequestResult]], x: Axis, y: Axis
) -> str:
    """A dot for the latency of each request, at its place on `x`."""
    points = [(place, result.latency_s) for place, result in placed]
    titles = [_describe(result) for _, result in placed]
    return chart.points(Series(row.label, points, slot % COLOURS, titles=titles), x, y)


def _describe(outcome: RequestResult) -> str:
    question = outcome.request.messages[-1]["content"]
    short = question if len(question) <= 80 else question[:77] + "…"
    return (
        f"{short}\n{outcome.output_tokens} tokens in {figures(outcome.latency_s)} s, first after "
        f"{figures(outcome.ttft_s or 0.0)} s, preempted {outcome.preemptions} times"
    )


def _panels(rows: Sequence[Row], charts: Sequence[str]) -> str:
    figures = (
        figure(slot, row.label, svg, row.oracle)
        for slot, (row, svg) in enumerate(zip(rows, charts, strict=True))
    )
    return f'<div class="panels">{"".join(figures)}</div>'


def _ttft_by_tier(rows: Sequence[Row]) -> str:
    order = {"interactive": 0, "": 1, "standard": 1, "batch": 2}
    tiers = sorted({o.request.tier for row in rows for o in row.outcomes}, key=order.__getitem__)
    series, worst_s = [], 0.0
    for slot, row in enumerate(rows):
        values, titles = [], []
        for tier in tiers:
            ttfts = [
                o.ttft_s for o in _good(row) if o.request.tier == tier and o.ttft_s is not None
            ]
            middle, upper = percentile(ttfts, 0.5), percentile(ttfts, 0.99)
            values.append((middle, upper))
            titles.append(f"{row.label}: median {figures(middle)} s, p99 {figures(upper)} s")
            worst_s = max(worst_s, upper)
        series.append(Series(row.label, values, slot % COLOURS, titles=titles))
    names = [tier or "all requests" for tier in tiers]
    return chart.bars(names, series, Axis("time to first token", worst_s, "s"))


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
