"""`headway plan`: how many engines meet an SLO?"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from headway.cli.exit import fail
from headway.cli.progress import waiting
from headway.cli.simulation_options import (
    DEFAULT_PROFILE,
    BacklogTarget,
    ColdStart,
    Faster,
    Idle,
    Last,
    Prediction,
    Price,
    Requests,
    SloText,
    Slots,
    TraceText,
)
from headway.core.fleet.scaling import Scaling
from headway.core.routing import KINDS, SHARED
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.cluster import parse_scaling
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.fair_prediction import assumed_prediction
from headway.lab.simulation.plans import MOST_REPLICAS, plans, plans_of_each, taken
from headway.lab.simulation.remarks import assumptions, few, left_out
from headway.lab.simulation.settings import served_settings
from headway.lab.simulation.site_list import choices_of
from headway.lab.simulation.slo import parse_objective
from headway.lab.simulation.table import plan_cells
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
    last: Last = "",
    requests: Requests = 0,
) -> None:
    """Find how many engines of which profile meet an SLO, and what more or fewer achieve."""
    console = table_console()
    try:
        objective = parse_objective(slo)
        sites = choices_of(profile, slots, price)
        scale = "" if least is None else f"{least}..{MOST_REPLICAS}"
        scaling = parse_scaling(scale, cold_start, idle, backlog)
        (found,) = traces_of(trace, sites, last=last, requests=requests, faster=faster)
        assumed, settings = assumed_prediction(predict, found), served_settings()
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
        with waiting(console, "simulating"):
            answers = plans_of_each(sites, plan_of)
        refused = {name: one for name, one in answers.items() if isinstance(one, SimulationError)}
        tried = {name: one for name, one in answers.items() if not isinstance(one, SimulationError)}
        if not tried:
            raise SimulationError("; ".join(dict.fromkeys(map(str, refused.values()))))
    except (SimulationError, OSError) as error:
        fail("plan", error)
    prices = {site.name: site.profile.price_per_hour for site in sites}
    headings, rows = plan_cells(
        tried, objective, scaled=scaling is not None, priced=any(prices.values())
    )
    said = [assumptions(sites, assumed, settings), *left_out(found), *few(len(found))]
    for line in said:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    show(console, Results(headings, rows, ("util.", "cold wait", "mean s")))
    for name, why in refused.items():
        console.print(f"Not {name}: {why}.", markup=False, highlight=False, soft_wrap=True)
    print(taken(tried, prices, scaling))
