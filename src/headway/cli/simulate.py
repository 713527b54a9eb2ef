"""`headway simulate`: what would these policies have done to this traffic?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from headway.cli.exit import fail
from headway.cli.output_files import check_writable, results_console, write_json
from headway.cli.progress import LINE_EVERY_S, Stages
from headway.cli.simulation_options import (
    DEFAULT_PROFILE,
    BacklogTarget,
    ColdStart,
    Engines,
    Faster,
    Idle,
    Last,
    Load,
    Prediction,
    Price,
    Requests,
    SloText,
    Slots,
    TraceText,
)
from headway.core.fleet.scaling import Scaling
from headway.core.routing import KINDS, SHARED
from headway.lab.report.terminal import show
from headway.lab.simulation.cluster import Cluster, parse_scaling, parse_sharing
from headway.lab.simulation.comparison import ORACLE, Contender, Run, Scenario, compare, label_of
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.failures import parse_failures
from headway.lab.simulation.fair_prediction import assumed_prediction
from headway.lab.simulation.generated import LENGTHS, Recipe
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.remarks import (
    assumptions,
    equals,
    few,
    headline,
    left_out,
    rejections,
    remarks,
)
from headway.lab.simulation.report import report_html
from headway.lab.simulation.result import SimulationResult
from headway.lab.simulation.settings import BOOST, settings_of
from headway.lab.simulation.site_list import names_in, sites_of
from headway.lab.simulation.slo import parse_slo
from headway.lab.simulation.table import table_of
from headway.lab.simulation.traffic import traces_of

REQUESTS = "simulating"
"""What the first comparison is called while it runs; those at further loads follow it."""


def simulate(
    trace: TraceText,
    policies: Annotated[
        str,
        typer.Option(
            help="Policies to compare; NAME+PREDICTION overrides --predict for that policy."
        ),
    ] = "fcfs,sjf,srpt,gittins",
    predict: Prediction = "",
    oracle: Annotated[bool, typer.Option(help=f"Also {ORACLE}: what can be gained.")] = True,
    profile: Engines = DEFAULT_PROFILE,
    slots: Slots = 0,
    price: Price = "",
    load: Load = 0.0,
    faster: Faster = 1.0,
    loads: Annotated[
        str, typer.Option(help="Further loads for --report and --json, such as 0.5,0.7,0.9.")
    ] = "",
    last: Last = "",
    requests: Requests = 0,
    prompt: Annotated[str, typer.Option(help=f"Prompt tokens of generated traffic: {LENGTHS}.")] = (
        Recipe.prompt
    ),
    output: Annotated[str, typer.Option(help="Output tokens, in the same form.")] = Recipe.output,
    seeds: Annotated[
        int,
        typer.Option(min=1, help="Runs with different random seeds; adds confidence intervals."),
    ] = 1,
    slo: SloText = "",
    max_wait: Annotated[
        float, typer.Option(min=0, help="Starvation bound in seconds; 0: none.")
    ] = 0.0,
    tail: Annotated[
        float, typer.Option(help="What boost promises: p99 latency over that of fcfs.")
    ] = BOOST.tail,
    fairness: Annotated[str, typer.Option(help="Fairness among tenants: off, vtc or drr.")] = "off",
    routing: Annotated[str, typer.Option(help=f"Routings to compare: {KINDS}.")] = SHARED,
    gateways: Annotated[
        int,
        typer.Option(min=1, help="Gateways that share all engines; each gets requests by chance."),
    ] = 1,
    gateway_delay: Annotated[
        float,
        typer.Option(
            min=0, help="Milliseconds from a gateway to the others' shared state, and as long back."
        ),
    ] = 0.0,
    failing: Annotated[
        list[str] | None,
        typer.Option("--fail", help="Outage of a backend, NAME@AT_S+FOR_S; may be repeated."),
    ] = None,
    mtbf: Annotated[
        float, typer.Option(min=0, help="Mean seconds between failures of a backend; 0: none.")
    ] = 0.0,
    repair: Annotated[
        float, typer.Option(min=0, help="Mean seconds that such a failure lasts.")
    ] = 0.0,
    scale: Annotated[
        str,
        typer.Option(help="Autoscale between LEAST..MOST replicas, such as 0..4; default: all on."),
    ] = "",
    cold_start: ColdStart = Scaling.cold_start_s,
    idle: Idle = Scaling.idle_s,
    backlog: BacklogTarget = Scaling.backlog_s,
    processes: Annotated[int, typer.Option(min=0, help="Parallel runs; 0: one per core.")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers here; - for the terminal.")
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write one row per run here.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with plots here.")] = None,
) -> None:
    """Simulate traffic under one policy after another, on virtual time.

    The scheduler is the gateway's own; engines are models, described by their profiles.
    """
    console = results_console(json_file)
    try:
        shares = _loads(loads)
        if shares and report is None and json_file is None:
            raise SimulationError(
                "--loads is for a page or for JSON; say where to write it with --report or --json"
            )
        check_writable({"--report": report, "--csv": csv_file, "--json": json_file})
        cluster = Cluster(
            scaling=parse_scaling(scale, cold_start, idle, backlog),
            failures=parse_failures(failing or (), mtbf, repair),
            sharing=parse_sharing(gateways, gateway_delay, names_in(routing)),
        )
        sites = sites_of(profile, slots, price, cluster.scaling)
        settings = settings_of(max_wait, fairness, tail)
        traces = traces_of(
            trace,
            sites,
            last=last,
            requests=requests,
            faster=faster,
            load=load,
            prompt=prompt,
            output=output,
            seeds=seeds,
        )
        assumed = assumed_prediction(predict, traces[0])
        contenders = _contenders(names_in(policies), names_in(routing), assumed.kind, oracle)
        objective = parse_slo(slo)
        scenario = Scenario(traces, sites, settings, objective.request, cluster)
        asked = {
            "trace": trace,
            "requests": len(traces[0]),
            "arrivals over": f"{traces[0].span_s:.1f} s",
            "profile": profile,
            "slots": ", ".join(str(site.backend.slots) for site in sites),
            "load": load or "as recorded",
            "faster": faster,
            "prediction": str(assumed),
            "starvation bound": f"{max_wait:g} s" if max_wait else "none",
            "tail of boost": tail,
            "fairness": fairness,
            "routing": routing,
            "gateways": gateways,
            "failures": ", ".join(failing or ()) or (f"every {mtbf:g} s" if mtbf else "none"),
            "replicas": scale or len(sites),
            "SLO": slo or "none",
            "seeds": seeds,
        }
        by_load: dict[float, SimulationResult] = {}
        with Stages(quiet_s=LINE_EVERY_S) as report_share:
            rounds = 1 + len(shares)

            def compared(scenario: Scenario, what: str) -> dict[str, list[Run]]:
                total = len(contenders) * sum(map(len, traces))
                number = len(by_load) + (what != REQUESTS)
                return compare(
                    scenario,
                    contenders,
                    processes=processes,
                    progress=lambda ended: report_share(what, (number + ended / total) / rounds),
                )

            result = SimulationResult(compared(scenario, REQUESTS), asked, objective)
            capacities = [capacity_rps(one, sites) for one in traces] if shares else []
            for share in shares:
                paced = [at_load(*pair, share) for pair in zip(traces, capacities, strict=True)]
                runs = compared(replace(scenario, traces=paced), f"at a load of {share:g}")
                by_load[share] = SimulationResult(runs, asked | {"load": share}, objective)
        measures = [runs[0].measures for runs in result.runs.values()]
        said = [
            *filter(None, [headline(result)]),
            assumptions(sites, assumed, settings),
            *left_out(traces[0]),
            *few(len(traces[0])),
            *remarks(traces[0], sites, measures),
            *rejections(result),
            *equals(result),
        ]
        result = replace(result, remarks=said)
        if report is not None:
            report.write_text(report_html(result, scenario, by_load), encoding="utf-8")
        if csv_file is not None:
            csv_file.write_text(result.to_csv(), encoding="utf-8")
        if json_file is not None:
            write_json(result.to_json(by_load), json_file)
    except (SimulationError, OSError) as error:
        fail("simulate", error)
    for line in said:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    show(console, table_of(result))


def _contenders(
    policies: Sequence[str], routings: Sequence[str], predict: str, oracle: bool
) -> dict[str, Contender]:
    """One a policy and routing, by label; what there is to gain is asked of each routing."""
    if not (policies and routings):
        raise SimulationError(
            "nothing to compare; name a policy and a routing, as --policies fcfs --routing shared"
        )
    return {
        label_of(policy, routing if len(routings) > 1 else ""): Contender.parse(
            policy, predict, routing
        )
        for routing in routings
        for policy in (*policies, *[ORACLE] * oracle)
    }


def _loads(text: str) -> list[float]:
    try:
        loads = [float(part) for part in text.split(",") if part.strip()]
        if not all(0.0 < load < 100.0 for load in loads):
            raise ValueError
    except ValueError:
        raise SimulationError(f"cannot read loads {text!r}; write 0.5,0.7,0.9") from None
    return loads
