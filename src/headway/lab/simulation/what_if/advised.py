"""Which settings of the scheduler meet an SLO on traffic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headway.lab.simulation.advice import Tuning
from headway.lab.simulation.recommendation import Recommendation, command, recommend
from headway.lab.simulation.remarks import remarks
from headway.lab.simulation.report import table_html
from headway.lab.simulation.slo import Objective, parse_objective
from headway.lab.simulation.table import MEANINGS, advice_cells
from headway.lab.simulation.what_if.answer import Answer, Table
from headway.lab.simulation.what_if.ground import Ground
from headway.lab.simulation.what_if.groups import groups_of


def advised(
    ground: Ground,
    policies: Sequence[str],
    slo: str,
    now: str,
    asked: str,
    *,
    embedded: bool,
    progress: Callable[[float], None],
) -> tuple[Answer, str]:
    """The answer, and the page with the evidence.

    Args:
        ground: traffic and engines.
        policies: to choose from.
        slo: what is to be met, as text.
        now: the policy that runs now.
        asked: for a shell: the same question.
        embedded: whether the engine is Headway's own.
        progress: called with the number of settings that were simulated.

    Raises:
        SimulationError: the SLO is none, there is no such policy, or a request fits no engine.
    """
    objective = parse_objective(slo)
    tried, best = recommend(
        ground.trace,
        ground.sites,
        policies,
        ground.prediction.kind,
        ground.settings,
        objective,
        now,
        processes=1,
        progress=progress,
    )
    notes = [
        *ground.notes,
        *ground.extrapolated([best.candidate.tuning.slots or 0]),
        *remarks(ground.trace, ground.sites, [one.run.measures for one in tried]),
    ]
    headings, rows = advice_cells(tried, best)
    short = best.candidate.tuning.short
    sentences = [*(best.shortfall() or [_met(best, objective)])]
    sentences += [f"{short}: {one[:1].lower()}{one[1:]}" for one in best.gains()]
    tuning = best.candidate.tuning
    groups = []
    if best.candidate is not best.now:
        groups = groups_of(ground.trace, best.now.run.outcome, best.candidate.run.outcome)
    answer = Answer(
        answer=sentences,
        doubts=ground.doubts,
        notes=notes,
        table=Table(
            headings[:-1], [row[:-1] for row in rows], MEANINGS, {row[0]: row[-1] for row in rows}
        ),
        now=now,
        groups=groups,
        policy=tuning.policy
        if ground.own and tuning == Tuning(tuning.policy) != Tuning(now)
        else "",
        command=asked,
        serve="" if best.candidate is best.now else command(tuning, embedded=embedded),
    )
    facts = {"traffic": ground.trace.name, "SLO": str(objective), "policy that runs now": now}
    page = table_html(
        "Headway advise", [*sentences, *ground.doubts, *notes], (headings, rows), facts
    )
    return answer, page


def _met(best: Recommendation, objective: Objective) -> str:
    measures = best.candidate.run.measures
    reached = ", ".join(f"{of} ({of.reached(measures)})" for of in objective.targets)
    return f"{best.candidate.tuning.short} meets {reached}."
