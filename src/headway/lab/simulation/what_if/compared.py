"""Which policy pays on traffic, with which slots, by how much, and for whom it is worse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from headway.lab.report.figures import figures
from headway.lab.report.sections import listed
from headway.lab.simulation.choice import LEAST_GAIN
from headway.lab.simulation.comparison import ORACLE, Contender, Run, Scenario, compare, label_of
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.measures import Measures, measures_of
from headway.lab.simulation.remarks import equals, remarks
from headway.lab.simulation.report import report_html
from headway.lab.simulation.result import SimulationResult
from headway.lab.simulation.slo import NOTHING
from headway.lab.simulation.table import MEANINGS, cells_of
from headway.lab.simulation.trace import Trace
from headway.lab.simulation.what_if.answer import Answer, Table
from headway.lab.simulation.what_if.ground import Ground
from headway.lab.simulation.what_if.groups import NOISE, Group, groups_of, who_loses

MOST_ROWS = 24
"""Policies times numbers of slots."""
MOST_SLOTS = 4096


class Row(NamedTuple):
    """A policy with a number of slots; 0: as many as there are."""

    policy: str
    slots: int

    @property
    def label(self) -> str:
        """As in the table; what follows the comma is the same for the oracle of these slots."""
        return label_of(self.policy, f"{self.slots} slots" if self.slots else "")


def compared(
    ground: Ground,
    policies: Sequence[str],
    slots: Sequence[int],
    now: str,
    command: str,
    progress: Callable[[float], None],
) -> tuple[Answer, str]:
    """The answer, and the page with all of the evidence.

    Args:
        ground: traffic and engines.
        policies: to compare, besides the one that runs now and the oracle.
        slots: numbers of slots of each engine to try, besides as many as there are.
        now: the policy that runs now.
        command: for a shell: the same question.
        progress: called with the share that is done.

    Raises:
        SimulationError: too many rows, no such policy, or a request fits no engine.
    """
    rows = {
        row.label: row
        for number in dict.fromkeys((0, *slots))
        for policy in (*dict.fromkeys((now, *policies)), ORACLE)
        for row in [Row(policy, number)]
    }
    if len(rows) > MOST_ROWS:
        raise SimulationError(
            f"{len(rows)} rows are more than can be read; choose fewer policies or numbers of "
            f"slots, for at most {MOST_ROWS}"
        )
    if any(number > MOST_SLOTS for number in slots):
        raise SimulationError(f"an engine has at most {MOST_SLOTS} slots here; choose fewer")
    contenders = {
        label: replace(Contender.parse(row.policy, ground.prediction.kind), slots=row.slots)
        for label, row in rows.items()
    }
    scenario = Scenario([ground.trace], ground.sites, ground.settings, NOTHING.request)
    total = len(contenders) * len(ground.trace)
    runs = compare(
        scenario, contenders, processes=1, progress=lambda ended: progress(ended / total)
    )
    trace = ground.trace.rows(ground.scored.nonzero()[0])
    runs = {label: [_scored(run, ground)] for label, (run,) in runs.items()}
    asked = {"traffic": ground.trace.name, "requests": len(trace), "policy that runs now": now}
    result = SimulationResult(runs, asked)
    measures = [run.measures for (run,) in runs.values()]
    found = _verdict({label: run for label, (run,) in runs.items()}, rows, Row(now, 0), trace)
    said = [
        *ground.extrapolated(slots),
        *remarks(ground.trace, ground.sites, measures),
        *equals(result),
    ]
    result = replace(result, remarks=[*found.sentences, *ground.doubts, *ground.notes, *said])
    headings, cells = cells_of(result)
    best = found.best
    marks = {now: "now"} | ({best.label: "best"} if best is not None else {})
    answer = Answer(
        answer=found.sentences,
        doubts=ground.doubts,
        notes=[*ground.notes, *said],
        table=Table(headings, cells, MEANINGS, marks),
        now=now,
        groups=found.groups,
        policy=best.policy if best is not None and ground.own and not best.slots else "",
        command=command,
    )
    return answer, report_html(result, replace(scenario, traces=[trace]), {})


def _scored(run: Run, ground: Ground) -> Run:
    """The same run, of the requests that count."""
    chosen = ground.scored.nonzero()[0]
    outcome = run.outcome.rows(chosen)
    measures = measures_of(ground.trace.rows(chosen), outcome, ground.sites)
    return replace(run, outcome=outcome, measures=measures)


class _Verdict(NamedTuple):
    """What to say, the row that pays, and who gains and loses by it."""

    sentences: list[str]
    best: Row | None
    """None: none pays."""
    groups: list[Group]


def _verdict(runs: Mapping[str, Run], rows: Mapping[str, Row], now: Row, trace: Trace) -> _Verdict:
    """The row with the least mean latency of those that reject no more than now."""
    was = runs[now.label]
    others = [
        label
        for label, row in rows.items()
        if row != now
        and row.policy != ORACLE
        and runs[label].measures.rejected <= was.measures.rejected
    ]
    mean_s = was.measures.latency_s.mean
    if not any(run.measures.wait_s.max > 0.0 for run in runs.values()):
        return _Verdict(
            [
                "Nothing that was tried makes a difference: no request waits, so there is no "
                f"choice to make. The mean latency is {figures(mean_s)} s."
            ],
            None,
            [],
        )
    best = min(others, key=lambda label: runs[label].measures.latency_s.mean, default=now.label)
    would = runs[best]
    gain = 1.0 - would.measures.latency_s.mean / mean_s
    if gain < LEAST_GAIN:
        nearest = f"; the next is {best} with {figures(would.measures.latency_s.mean)} s"
        return _Verdict(
            [
                f"Nothing that was tried is better than {now.label}, which runs now, by "
                f"{LEAST_GAIN:.0%} or more: its mean latency is {figures(mean_s)} s"
                f"{nearest if others else ''}."
            ],
            None,
            [],
        )
    groups = groups_of(trace, was.outcome, would.outcome)
    return _Verdict(
        [
            f"{best} pays: its mean latency is {figures(would.measures.latency_s.mean)} s instead "
            f"of the {figures(mean_s)} s of {now.label}, which runs now: {gain:.0%} less.",
            _price(was.measures, would.measures, who_loses(groups)),
        ],
        rows[best],
        groups,
    )


def _price(was: Measures, would: Measures, losers: str) -> str:
    """Who is worse off, and what becomes of the tail."""
    tail = [
        f"{name} is {figures(then_s)} s instead of {figures(now_s)} s"
        for name, now_s, then_s in (
            ("p99 latency", was.latency_s.p99, would.latency_s.p99),
            ("the worst wait", was.wait_s.max, would.wait_s.max),
        )
        if losers or then_s > (1.0 + NOISE) * now_s
    ]
    whom = f"It is worse for {losers}" if losers else "No group of requests is worse off"
    return f"{'; '.join([whom, listed(tail)] if tail else [whom])}."
