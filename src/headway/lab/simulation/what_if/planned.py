"""How many engines meet an SLO on traffic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from headway.lab.report.sections import listed
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.plans import Plan, plans, plans_of_each, taken
from headway.lab.simulation.report import table_html
from headway.lab.simulation.slo import Objective, parse_objective
from headway.lab.simulation.table import MEANINGS, plan_cells
from headway.lab.simulation.what_if.answer import Answer, Table
from headway.lab.simulation.what_if.ground import Ground


def planned(
    ground: Ground, policy: str, slo: str, asked: str, trying: Callable[[int], None]
) -> tuple[Answer, str]:
    """The answer, and the page with the evidence.

    Args:
        ground: traffic, and the engines to choose from.
        policy: that orders requests.
        slo: what is to be met, as text.
        asked: for a shell: the same question.
        trying: called now and then with the number of engines that is being simulated.

    Raises:
        SimulationError: the SLO is none, or no number of engines meets it.
    """
    objective = parse_objective(slo)
    plan = partial(
        plans,
        ground.trace,
        policy=policy,
        prediction=ground.prediction.kind,
        objective=objective,
        settings=ground.settings,
        trying=trying,
    )
    found = plans_of_each(ground.sites, plan, processes=1)
    refused = {name: one for name, one in found.items() if isinstance(one, SimulationError)}
    tried = {name: one for name, one in found.items() if not isinstance(one, SimulationError)}
    if not tried:
        raise SimulationError("; ".join(dict.fromkeys(map(str, refused.values()))))
    cells = plan_cells(tried, objective, scaled=False, priced=False)
    sentences = [
        f"{taken(tried, dict.fromkeys(tried, 0.0))[:-1]} to meet {objective} with {policy}."
    ]
    sentences += [_margin(name, found, objective) for name, found in tried.items()]
    sentences += [f"Not {name}: {why}." for name, why in refused.items()]
    answer = Answer(
        answer=sentences,
        doubts=ground.doubts,
        notes=ground.notes,
        table=Table(*cells, MEANINGS),
        now=policy,
        command=asked,
    )
    facts = {"traffic": ground.trace.name, "SLO": str(objective), "policy": policy}
    page = table_html("Headway plan", [*sentences, *ground.doubts, *ground.notes], cells, facts)
    return answer, page


def _margin(name: str, found: Sequence[Plan], objective: Objective) -> str:
    """What the least number that is enough reaches, and what the next smaller one does."""
    enough = next(number for number, one in enumerate(found) if one.met)
    reached = [
        f"{one.replicas} of {name} {'reaches' if one.replicas == 1 else 'reach'} "
        + listed([target.reached(one.run.measures) for target in objective.targets])
        for one in found[max(0, enough - 1) : enough + 1]
    ]
    return f"{listed(reached)}."
