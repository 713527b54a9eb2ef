"""`headway plan`: how many engines meet an SLO?"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from headway.cli.exit import fail
from headway.cli.simulation_options import (
    DEFAULT_PROFILE,
    BacklogTarget,
    ColdStart,
    Faster,
    Idle,
    Prediction,
    Price,
    Requests,
    SloText,
    Slots,
    TraceText,
)
from headway.core.fleet.scaling import Scaling
from headway.core.routing import KINDS, SHARED
from headway.lab.report.figures import figures, share
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.cluster import parse_scaling
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.fair_prediction import assumed_prediction
from headway.lab.simulation.plans import MOST_REPLICAS, Plan, plans, plans_of_each
from headway.lab.simulation.remarks import assumptions
from headway.lab.simulation.settings import settings_of
from headway.lab.simulation.site_list import choices_of
from headway.lab.simulation.slo import Objective, parse_objective
from headway.lab.simulation.table import with_rejected
from headway.lab.simulation.traffic import traces_of


def plan(
    trace: TraceText,
    slo: SloText,
    profile: Annotated[
        str, typer.Option(help="Profiles to choose from, separated by commas.")
    ] = DEFAULT_PROFILE,
    slots: Slots = 0,
    price: Price = "",
    policy: Annotated[str, typer.Option(help="Policy of the scheduler.")] = "srpt",
    routing: Annotated[str, typer.Option(help=f"How requests reach engines: {KINDS}.")] = SHARED,
    least: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MOST_REPLICAS,
            help="Autoscale: engines that stay on without work, the others start and drain with "
            "it; default: all are always on.",
        ),
    ] = None,
    cold_start: ColdStart = Scaling.cold_start_s,
    idle: Idle = Scaling.idle_s,
    backlog: BacklogTarget = Scaling.backlog_s,
    predict: Prediction = "",
    faster: Faster = 1.0,
    requests: Requests = 0,
) -> None:
    """Find how many engines of which profile meet an SLO, and what more or fewer achieve."""
    console = table_console()
    try:
        objective = parse_objective(slo)
        sites = choices_of(profile, slots, price)
        scale = "" if least is None else f"{least}..{MOST_REPLICAS}"
        scaling = parse_scaling(scale, cold_start, idle, backlog)
        (found,) = traces_of(trace, sites, requests=requests, faster=faster)
        assumed, settings = assumed_prediction(predict, found), settings_of()
        plan_of = partial(
            plans,
            found,
            policy=policy,
            prediction=assumed.kind,
            objective=objective,
            settings=settings,
            routing=routing,
            scaling=scaling,
        )
        with console.status("simulating"):
            answers = plans_of_each(sites, plan_of)
        refused = {name: one for name, one in answers.items() if isinstance(one, SimulationError)}
        tried = {name: one for name, one in answers.items() if not isinstance(one, SimulationError)}
        if not tried:
            raise SimulationError("; ".join(dict.fromkeys(map(str, refused.values()))))
    except (SimulationError, OSError) as error:
        fail("plan", error)
    prices = {site.name: site.profile.price_per_hour for site in sites}
    priced = any(prices.values())
    rows = [
        _plan_cells(name, one, objective, scaling is not None, priced)
        for name, of_profile in tried.items()
        for one in of_profile
    ]
    scaled = ["mean on", "cold wait"] if scaling is not None else []
    headings = ["profile", "engines", *scaled, *map(str, objective.targets)]
    headings += ["mean s", "util.", *(["cost /h"] if priced else []), "met"]
    runs = [one.run for of_profile in tried.values() for one in of_profile]
    headings, rows = with_rejected(headings, rows, runs)
    said = assumptions(sites, assumed, settings)
    console.print(said, markup=False, highlight=False, soft_wrap=True)
    show(console, Results(headings, rows, ("util.", "cold wait", "mean s")))
    enough = {name: next(one for one in found if one.met) for name, found in tried.items()}
    on = {name: one.run.measures.replicas for name, one in enough.items()}
    # Either all of them have a price, or none has: then the fewest engines are the best.
    best = min(enough, key=lambda name: (prices[name] or 1.0) * on[name])
    cost = f", {prices[best] * on[best]:.2f} an hour" if prices[best] else ""
    most = enough[best].replicas
    for name, why in refused.items():
        console.print(f"Not {name}: {why}.", markup=False, highlight=False, soft_wrap=True)
    if scaling is None or scaling.least >= most:
        print(f"Take {most} of {best}{cost}.")
    else:
        print(f"Take {scaling.least} to {most} of {best}, {on[best]:.1f} on average{cost}.")


def _plan_cells(
    name: str, one: Plan, objective: Objective, scaled: bool, priced: bool
) -> list[str]:
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
