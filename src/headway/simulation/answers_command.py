"""`headway advise` and `headway plan`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from headway.report.figures import figures, share
from headway.report.terminal import fail, results_table, show, table_console
from headway.simulation.answers import (
    MOST_REPLICAS,
    Candidate,
    Plan,
    Tuning,
    candidates,
    plans,
)
from headway.simulation.errors import SimulationError
from headway.simulation.options import (
    DEFAULT_PROFILE,
    BacklogTarget,
    ColdStart,
    Engines,
    Faster,
    Idle,
    Prediction,
    Price,
    Requests,
    Slots,
    TraceText,
    names_in,
    settings_of,
    sites_of,
    traces_of,
)
from headway.simulation.routing import KINDS, SHARED
from headway.simulation.scaling import Scaling, parse_scaling
from headway.simulation.slo import Target, parse_targets

Objective = Annotated[str, typer.Option(help="As ttft_p99=1s,latency_mean=10s.")]
SHOWN = 8


def advise(
    trace: TraceText,
    slo: Objective,
    profile: Engines = DEFAULT_PROFILE,
    policies: Annotated[
        str, typer.Option(help="Those to choose from.")
    ] = "fcfs,sjf,srpt,trail,gittins,hrrn,mlfq",
    predict: Prediction = "history",
    faster: Faster = 1.0,
    requests: Requests = 0,
) -> None:
    """Say which policy and settings serve this traffic best, and what they would have bought."""
    console = table_console()
    try:
        targets = parse_targets(slo)
        sites = sites_of(profile)
        (found,) = traces_of(trace, sites, requests=requests, faster=faster)
        names = names_in(policies)
        with console.status("simulating"):
            tried = candidates(found, sites, names, predict, settings_of(), targets)
    except (SimulationError, OSError) as error:
        fail("advise", error)
    headings = ["settings", *map(str, targets), "mean s", "p99 s", "worst wait s"]
    rows = [_candidate_cells(one, targets) for one in tried[:SHOWN]]
    show(console, results_table(headings, rows))
    for line in advice(tried, targets):
        console.print(line, markup=False, highlight=False)


def advice(tried: Sequence[Candidate], targets: Sequence[Target]) -> list[str]:
    """The recommendation in words: the first of them."""
    best = tried[0]
    settings = " ".join(f"--set {name}={value}" for name, value in best.tuning.options.items())
    met = not best.missed(targets)
    lines = [f"Use: headway serve {settings}"]
    first = next((one for one in tried if one.tuning == Tuning("fcfs")), None)
    if first is not None and first is not best:
        was, would = first.run.measures, best.run.measures
        lines.append(
            f"It has {would.latency_s.mean / was.latency_s.mean:.2f} times the mean latency of "
            f"fcfs ({figures(would.latency_s.mean)} s, not {figures(was.latency_s.mean)} s), p99 "
            f"{figures(would.latency_s.p99)} s, not {figures(was.latency_s.p99)} s; worst wait "
            f"{figures(would.wait_s.max)} s, not {figures(was.wait_s.max)} s."
        )
    if not met:
        worst = max(targets, key=lambda target: target.missed(best.run.measures))
        lines.append(
            f"No policy meets {worst}: the best reaches {figures(worst.value_s(best.run.measures))}"
            f" s. `headway plan` says how many engines would."
        )
    return lines


def plan(
    trace: TraceText,
    slo: Objective,
    profile: Annotated[
        str, typer.Option(help="Profiles to choose from, with commas between.")
    ] = DEFAULT_PROFILE,
    slots: Slots = 0,
    price: Price = "",
    policy: Annotated[str, typer.Option(help="The scheduler's.")] = "srpt",
    routing: Annotated[str, typer.Option(help=f"How requests get to engines: {KINDS}.")] = SHARED,
    least: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MOST_REPLICAS,
            help="Engines that stay on without work, the others start and drain with it; as it "
            "is, all are always on.",
        ),
    ] = None,
    cold_start: ColdStart = Scaling.cold_start_s,
    idle: Idle = Scaling.idle_s,
    backlog: BacklogTarget = Scaling.backlog_s,
    predict: Prediction = "history",
    faster: Faster = 1.0,
    requests: Requests = 0,
) -> None:
    """Say how many engines of which profile meet an SLO, and what more or fewer would do."""
    console = table_console()
    try:
        targets = parse_targets(slo)
        sites = sites_of(profile, slots, price)
        scale = "" if least is None else f"{least}..{MOST_REPLICAS}"
        scaling = parse_scaling(scale, cold_start, idle, backlog)
        (found,) = traces_of(trace, sites, requests=requests, faster=faster)
        with console.status("simulating"):
            tried = {
                site.profile.name: plans(
                    found, site, policy, predict, targets, settings_of(), routing, scaling
                )
                for site in sites
            }
    except (SimulationError, OSError) as error:
        fail("plan", error)
    rows = [
        _plan_cells(name, one, targets, scaling is not None)
        for name, of_profile in tried.items()
        for one in of_profile
    ]
    scaled = ["mean on", "cold wait"] if scaling is not None else []
    headings = ["profile", "engines", *scaled, *map(str, targets)]
    show(console, results_table([*headings, "mean s", "util.", "cost /h", "met"], rows))
    enough = {name: next(one for one in found if one.met) for name, found in tried.items()}
    prices = {site.profile.name: site.profile.price_per_hour for site in sites}
    on = {name: one.run.measures.replicas for name, one in enough.items()}
    best = min(enough, key=lambda name: (prices[name] or 1.0) * on[name])
    cost = f", {prices[best] * on[best]:.2f} an hour" if prices[best] else ""
    most = enough[best].replicas
    if scaling is None or scaling.least >= most:
        print(f"Take {most} of {best}{cost}.")
    else:
        print(f"Take {scaling.least} to {most} of {best}, {on[best]:.1f} on average{cost}.")


def _candidate_cells(one: Candidate, targets: Sequence[Target]) -> list[str]:
    measures = one.run.measures
    options = one.tuning.options
    others = [f"{name.rpartition('.')[2]} {options[name]}" for name in options if name != "policy"]
    settings = ", ".join([options["policy"], *dict.fromkeys(others)])
    values = (*(target.value_s(measures) for target in targets), measures.latency_s.mean)
    return [settings, *map(figures, (*values, measures.latency_s.p99, measures.wait_s.max))]


def _plan_cells(name: str, one: Plan, targets: Sequence[Target], scaled: bool) -> list[str]:
    measures = one.run.measures
    hours = measures.duration_s / 3600.0
    on = [f"{measures.replicas:.1f}", share(measures.cold_start_wait_share)]
    return [
        name,
        str(one.replicas),
        *(on if scaled else []),
        *(figures(target.value_s(measures)) for target in targets),
        figures(measures.latency_s.mean),
        share(measures.utilisation),
        figures(measures.cost / hours) if hours else "-",
        "yes" if one.met else "no",
    ]
