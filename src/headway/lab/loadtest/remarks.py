"""What is said before the table of a load test."""

from __future__ import annotations

from headway.lab.loadtest.evenness import unevenness
from headway.lab.loadtest.result import BenchResult
from headway.lab.report.figures import figures


def remarks(result: BenchResult) -> list[str]:
    """The headline, and what makes the rows say little."""
    return [headline(result), *filter(None, [unevenness(result)])]


def headline(result: BenchResult) -> str:
    """What the best policy does, against `fcfs` if it is there; of one row, what it does.

    Latencies are of complete answers: a row with more errors than `fcfs`, or else than the others,
    is no better for them.
    """
    rows = [row for row in result.rows if not row.oracle] or list(result.rows)
    fcfs = next((row for row in rows if row.label == "fcfs"), None)
    most_errors = min(row.summary.errors for row in ([fcfs] if fcfs is not None else rows))
    answered = [row for row in rows if row.summary.errors <= most_errors]
    best = min(answered, key=lambda row: row.summary.latency_mean_s)
    now = best.summary
    if now.errors >= now.requests:
        return f"{best.label} answered none of {now.requests:.0f} requests."
    if len(rows) == 1 or (len(answered) == 1 and fcfs is None):
        return (
            f"{best.label}: mean latency {figures(now.latency_mean_s)} s, p99 "
            f"{figures(now.latency_p99_s)} s, at {figures(now.throughput_tokens_per_s)} tokens/s."
        )
    if best is fcfs:
        return (
            f"No policy has a lower mean latency than fcfs here: {figures(now.latency_mean_s)} s."
        )
    if fcfs is None or not fcfs.summary.latency_mean_s:
        worst = max(answered, key=lambda row: row.summary.latency_mean_s)
        return (
            f"{best.label} has the lowest mean latency, {figures(now.latency_mean_s)} s; "
            f"{worst.label} the highest, {figures(worst.summary.latency_mean_s)} s."
        )
    was = fcfs.summary
    return (
        f"{best.label} has {now.latency_mean_s / was.latency_mean_s:.2f} times the mean latency of "
        f"fcfs ({figures(now.latency_mean_s)} s, not {figures(was.latency_mean_s)} s) and "
        f"{_ratio(now.latency_p99_s, was.latency_p99_s)} times its p99, at "
        f"{_ratio(now.throughput_tokens_per_s, was.throughput_tokens_per_s)} times its throughput."
    )


def _ratio(value: float, of: float) -> str:
    return f"{value / of:.2f}" if of else "-"
