"""`headway advise`: which policy and settings serve this traffic best?"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from headway.cli.exit import BAD_CONFIG, Failure, fail
from headway.cli.live_advice import policy_of, print_live_advice
from headway.cli.simulation_options import (
    DEFAULT_PROFILE,
    Engines,
    Faster,
    Load,
    Prediction,
    Requests,
    SloText,
    Slots,
    TraceText,
)
from headway.lab.report.figures import figures
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.advice import UNSCHEDULED, Candidate, Tuning, candidates
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.fair_prediction import assumed_prediction
from headway.lab.simulation.plans import Plan, plans
from headway.lab.simulation.recommendation import Recommendation
from headway.lab.simulation.remarks import assumptions, remarks
from headway.lab.simulation.settings import served_settings
from headway.lab.simulation.site_list import names_in, sites_of
from headway.lab.simulation.slo import Objective, parse_objective
from headway.lab.simulation.table import with_rejected
from headway.lab.simulation.traffic import traces_of

SHOWN = 8
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
        (found,) = traces_of(trace, sites, requests=requests, faster=faster, load=load)
        names = names_in(policies)
        assumed, settings = assumed_prediction(predict, found), served_settings()

        def more_engines(tuning: Tuning) -> list[Plan]:
            if len({site.profile for site in sites}) > 1:
                raise SimulationError("`headway plan` compares engines of several kinds")
            engine = replace(sites[0], slots=tuning.slots or sites[0].slots)
            served = tuning.contender(assumed.kind, settings).settings or settings
            return plans(found, engine, tuning.policy, assumed.kind, objective, served)

        with console.status("simulating"):
            tried = candidates(found, sites, names, assumed.kind, settings, objective, now=runs)
            engine_slots = sites[0].backend.slots
            best = Recommendation.of(tried, objective, engine_slots, more_engines, runs)
            said = remarks(found, sites, [one.run.measures for one in tried])
    except (SimulationError, OSError) as error:
        fail("advise", error)
    headings = ["settings", *map(str, objective.targets), "mean s", "p99 s", "worst wait s"]
    kept = [one for one in tried[SHOWN:] if one is best.candidate or one is best.now]
    marks = {id(best.candidate): "recommended"}
    marks[id(best.now)] = "recommended, now" if best.candidate is best.now else "now"
    headings.append("")
    rows = [
        [*_candidate_cells(one, objective), marks.get(id(one), "")]
        for one in [*tried[:SHOWN], *kept]
    ]
    headings, rows = with_rejected(headings, rows, [one.run for one in [*tried[:SHOWN], *kept]])
    for line in [assumptions(sites, assumed, settings), *said, *best.first()]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    show(console, Results(headings, rows, LEAST_FIRST))
    for line in best.last(embedded=profile == DEFAULT_PROFILE, slots=slots):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _candidate_cells(one: Candidate, objective: Objective) -> list[str]:
    measures = one.run.measures
    options = one.tuning.options
    others = [f"{name.rpartition('.')[2]} {options[name]}" for name in options if name != "policy"]
    if one.tuning.slots is not None:
        others.append(f"slots {one.tuning.slots}")
    settings = ", ".join([options["policy"], *dict.fromkeys(others)])
    latency_s = measures.latency_s
    return [
        settings,
        *(target.reached(measures) for target in objective.targets),
        *map(figures, (latency_s.mean, latency_s.p99, measures.wait_s.max)),
    ]
