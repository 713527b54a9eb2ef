"""`headway advise`: which policy and settings serve this traffic best?"""

from __future__ import annotations

from typing import Annotated

import typer

from headway.cli.exit import BAD_CONFIG, Failure, fail
from headway.cli.live_advice import policy_of, print_live_advice
from headway.cli.progress import waiting
from headway.cli.simulation_options import (
    DEFAULT_PROFILE,
    Engines,
    Faster,
    Last,
    Load,
    Prediction,
    Requests,
    SloText,
    Slots,
    TraceText,
)
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.advice import UNSCHEDULED
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.fair_prediction import assumed_prediction
from headway.lab.simulation.recommendation import recommend
from headway.lab.simulation.remarks import assumptions, few, left_out, remarks
from headway.lab.simulation.settings import served_settings
from headway.lab.simulation.site_list import names_in, sites_of
from headway.lab.simulation.slo import parse_objective
from headway.lab.simulation.table import advice_cells
from headway.lab.simulation.traffic import traces_of

LEAST_FIRST = ("p99 s", "mean s", "worst wait s")
"""Columns that a narrow terminal does without: the targets come first."""


def advise(
    trace: TraceText = "",
    slo: SloText = "",
    profile: Engines = DEFAULT_PROFILE,
    slots: Slots = 0,
    policies: Annotated[
        str, typer.Option(help="Policies to choose from.")
    ] = "fcfs,sjf,srpt,trail,gittins,hrrn,mlfq",
    predict: Prediction = "",
    load: Load = 0.0,
    faster: Faster = 1.0,
    last: Last = "",
    requests: Requests = 0,
    now: Annotated[
        str,
        typer.Option(
            metavar="POLICY",
            help="What runs now, to compare with; default: that of --live, else fcfs.",
        ),
    ] = "",
    live: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="A gateway whose policy runs now; without a trace: why it serves with it.",
        ),
    ] = "",
    api_key: Annotated[
        str,
        typer.Option(envvar="OPENAI_API_KEY", help="API key for that.", show_default=False),
    ] = "",
) -> None:
    """Find the policy and settings that serve this traffic best, and what they gain."""
    console = table_console()
    if live and not trace:
        print_live_advice(live, api_key, console)
        return
    if not trace or not slo:
        raise Failure(
            "name a trace and the targets: headway advise TRACE --slo ttft_p99=1s", BAD_CONFIG
        )
    if live and now:
        raise Failure("--now and --live both say what runs now: pass one of them", BAD_CONFIG)
    runs = policy_of(live, api_key) if live else now or UNSCHEDULED
    try:
        objective = parse_objective(slo)
        sites = sites_of(profile, slots)
        (found,) = traces_of(trace, sites, last=last, requests=requests, faster=faster, load=load)
        names = names_in(policies)
        assumed, settings = assumed_prediction(predict, found), served_settings()
        with waiting(console, "simulating"):
            tried, best = recommend(found, sites, names, assumed.kind, settings, objective, runs)
            said = [*left_out(found), *few(len(found))]
            said += remarks(found, sites, [one.run.measures for one in tried])
    except (SimulationError, OSError) as error:
        fail("advise", error)
    headings, rows = advice_cells(tried, best)
    for line in [assumptions(sites, assumed, settings), *said, *best.first()]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    show(console, Results(headings, rows, LEAST_FIRST))
    for line in best.last(embedded=profile == DEFAULT_PROFILE, slots=slots):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
