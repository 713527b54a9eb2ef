"""Tables of simulations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from headway.lab.report.figures import figures, figures_beside, share, share_beside
from headway.lab.report.terminal import Results
from headway.lab.simulation.advice import Candidate
from headway.lab.simulation.comparison import Run
from headway.lab.simulation.plans import Plan
from headway.lab.simulation.recommendation import Recommendation
from headway.lab.simulation.result import SimulationResult
from headway.lab.simulation.slo import Objective

Text = Callable[[float], str]

COLUMNS: tuple[tuple[str, tuple[str, ...], Text], ...] = (
    ("mean s", ("latency_s", "mean"), figures),
    ("p50 s", ("latency_s", "p50"), figures),
    ("p90 s", ("latency_s", "p90"), figures),
    ("p99 s", ("latency_s", "p99"), figures),
    ("worst wait s", ("wait_s", "max"), figures),
    ("slow- down", ("slowdown", "mean"), lambda value: f"{value:.1f}"),
    ("s per token", ("s_per_token", "mean"), figures),
    ("TTFT s", ("ttft_s", "mean"), figures),
    ("TPOT ms", ("tpot_s", "mean"), lambda value: figures(1000.0 * value)),
    ("tokens /s", ("throughput_tokens_per_s",), lambda value: f"{value:.0f}"),
    ("util.", ("utilisation",), share),
    ("pre- empted", ("preemptions",), lambda value: f"{value:.0f}"),
)
"""Heading, number of Measures, and its text."""

WHERE_IT_MATTERS: tuple[tuple[str, tuple[str, ...], Text, float], ...] = (
    ("runs mean s", ("run_latency_s", "mean"), figures, 0.0),
    ("runs p99 s", ("run_latency_s", "p99"), figures, 0.0),
    ("runs in time", ("run_deadlines_met",), share, 1.0),
    ("rejected", ("rejected",), lambda value: f"{value:.0f}", 0.0),
    ("KV use", ("kv_use",), share, 0.0),
    ("good- put", ("goodput",), share, 1.0),
    ("fair- ness", ("fairness",), lambda value: f"{value:.2f}", 1.0),
    ("recom- puted", ("recomputed",), lambda value: f"{value:.0f}", 0.0),
    ("inver- sions", ("inversions",), share, 0.0),
    ("failed over", ("failovers",), lambda value: f"{value:.0f}", 0.0),
    ("repli- cas", ("replicas",), lambda value: f"{value:.1f}", 1.0),
    ("cold starts", ("cold_starts",), lambda value: f"{value:.0f}", 0.0),
    ("cold wait", ("cold_start_wait_share",), share, 0.0),
    ("cost", ("cost",), lambda value: f"{value:.2f}", 0.0),
)
"""Further columns, omitted if every row has the last number."""


OF_LATENCY = "end-to-end latency, from when a request was sent to its last token"
MEANINGS = {
    **dict.fromkeys(("mean s", "p50 s", "p90 s", "p99 s"), OF_LATENCY),
    "worst wait s": "the longest time from sending a request to its first slot",
    "slow- down": "latency over the time of the same request alone on the idle engine, mean",
    "s per token": "latency over output tokens, mean",
    "TTFT s": "time to first token, mean",
    "TPOT ms": "time per output token after the first, pauses included, mean",
    "tokens /s": "output tokens a second, from the first request to the last answer",
    "util.": "utilisation: share of the time on in which engines worked",
    "pre- empted": "how often a running request was stopped for another",
    "rejected": "requests that were refused",
    "KV use": "mean share of the KV cache's memory in use",
    "good- put": "goodput: share of requests that met the limits of --slo",
    "fair- ness": "Jain's index of the tenants' mean slowdown: 1 if all are equal",
    "recom- puted": "how often an engine ran out of memory and computed a request again",
    "inver- sions": "share of starts for which a better-placed request waited at another gateway",
    "failed over": "how often a request lost its backend and went on elsewhere",
    "repli- cas": "engines on or starting, mean",
    "cold starts": "how often a replica was started",
    "runs mean s": "time of a whole run of calls, from its first request to its last token, mean",
    "runs p99 s": "the same, which one run in a hundred exceeds",
    "runs in time": "share of the runs with a deadline that met it",
    "cold wait": "share of all waiting for a first slot during which a replica was started and "
    "not ready yet",
    "cost": "price of the time that engines were on, from their price an hour",
    "oracle gain": "share of what knowing every length would gain over fcfs in mean latency",
    "SLO met": "whether the targets of --slo are met with every seed",
}
"""What headings say, for those who see the table alone."""
LEAST_FIRST = (
    *("pre- empted", "util.", "s per token", "TPOT ms", "tokens /s", "slow- down", "p90 s"),
    *(
        "recom- puted",
        "failed over",
        "inver- sions",
        "cold wait",
        "TTFT s",
        "p50 s",
        "cold starts",
        "KV use",
    ),
    *("repli- cas", "fair- ness", "worst wait s"),
)
"""Columns that a narrow terminal does without, the least important first."""


def cells_of(result: SimulationResult) -> tuple[list[str], list[list[str]]]:
    """Headings and rows. With several seeds the mean has its 95% interval."""
    columns = list(COLUMNS)
    columns += [
        column[:3]
        for column in WHERE_IT_MATTERS
        if any(result.mean(label, *column[1]) != column[3] for label in result.runs)
    ]
    if result.objective.goodput is not None:
        beside = partial(share_beside, least=result.objective.goodput.least)
        columns = [(*one[:2], beside) if one[1] == ("goodput",) else one for one in columns]
    gains = {label: result.gain(label) for label in result.runs}
    with_gain = any(gain is not None for gain in gains.values())
    targets = result.objective.statistics
    asked = bool(result.objective.targets)
    headings = ["policy", *(heading for heading, _, _ in columns), *["oracle gain"] * with_gain]
    headings += [*map(str, targets), *["SLO met"] * asked]
    rows = []
    for label, gain in gains.items():
        cells = [label, *(text(result.mean(label, *path)) for _, path, text in columns)]
        interval = result.interval(label, *COLUMNS[0][1])
        if interval is not None:
            cells[1] += f" ± {figures(interval)}"
        cells += [share(gain)] * with_gain
        cells += [
            figures_beside(result.mean(label, of.quantity, of.statistic), of.limit_s)
            for of in targets
        ]
        rows.append(cells + ["yes" if result.met(label) else "no"] * asked)
    return headings, rows


def table_of(result: SimulationResult) -> Results:
    """For the terminal."""
    return Results(*cells_of(result), LEAST_FIRST)


def with_rejected(
    headings: list[str], rows: list[list[str]], runs: Sequence[Run]
) -> tuple[list[str], list[list[str]]]:
    """With a column of rejected requests if there are any: no other number shows them."""
    rejected = [one.measures.rejected for one in runs]
    if not any(rejected):
        return headings, rows
    cells = zip(rows, rejected, strict=True)
    return [*headings, "rejected"], [[*row, str(number)] for row, number in cells]


SHOWN = 8
"""Candidates in a table, the best first; those that are recommended or run now besides."""


def advice_cells(
    tried: Sequence[Candidate], best: Recommendation
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of what was tried for an SLO; the last cell marks a row."""
    objective = best.objective
    shown = [*tried[:SHOWN]]
    shown += [one for one in tried[SHOWN:] if one is best.candidate or one is best.now]
    headings = ["settings", *map(str, objective.targets), "mean s", "p99 s", "worst wait s", ""]
    marks = {id(best.candidate): "recommended"}
    marks[id(best.now)] = "recommended, now" if best.candidate is best.now else "now"
    rows = [[*_advice_row(one, objective), marks.get(id(one), "")] for one in shown]
    return with_rejected(headings, rows, [one.run for one in shown])


def _advice_row(one: Candidate, objective: Objective) -> list[str]:
    measures = one.run.measures
    times_s = (measures.latency_s.mean, measures.latency_s.p99, measures.wait_s.max)
    reached = [target.reached(measures) for target in objective.targets]
    return [one.tuning.short, *reached, *map(figures, times_s)]


def plan_cells(
    tried: Mapping[str, Sequence[Plan]], objective: Objective, *, scaled: bool, priced: bool
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of numbers of engines, by their profile.

    Args:
        tried: plans, by profile.
        objective: what they are to meet.
        scaled: whether engines start and drain with the work.
        priced: whether engines have a price.
    """
    headings = ["profile", "engines", *(["mean on", "cold wait"] if scaled else [])]
    headings += [*map(str, objective.targets), "mean s", "util.", *["cost /h"] * priced, "met"]
    plans = [(name, one) for name, of_profile in tried.items() for one in of_profile]
    rows = [_plan_row(name, one, objective, scaled, priced) for name, one in plans]
    return with_rejected(headings, rows, [one.run for _, one in plans])


def _plan_row(name: str, one: Plan, objective: Objective, scaled: bool, priced: bool) -> list[str]:
    measures = one.run.measures
    hours = measures.duration_s / 3600.0
    on = [f"{measures.replicas:.1f}", share(measures.cold_start_wait_share)]
    return [
        name,
        str(one.replicas),
        *(on if scaled else []),
        *(target.reached(measures) for target in objective.targets),
        figures(measures.latency_s.mean),
        share(measures.utilisation),
        *([figures(measures.cost / hours) if hours else "-"] if priced else []),
        "yes" if one.met else "no",
    ]
