"""`headway advise` and `headway plan`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from headway.report.figures import figures, share
from headway.report.terminal import fail, results_table, show, table_console
from headway.simulation.answers import Candidate, Plan, Tuning, candidates, plans
from headway.simulation.errors import SimulationError
from headway.simulation.options import (
    DEFAULT_PROFILE,
    Engines,
    Faster,
    Prediction,
    Price,
    Requests,
    TraceText,
    names_in,
    settings_of,
    sites_of,
    traces_of,
)
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
    price: Price = "",
    policy: Annotated[str, typer.Option(help="The scheduler's.")] = "srpt",
    predict: Prediction = "history",
    faster: Faster = 1.0,
    requests: Requests = 0,
) -> None:
    """Say how many engines of which profile meet an SLO, and what more or fewer would do."""
    console = table_console()
    try:
        targets = parse_targets(slo)
        sites = sites_of(profile, price=price)
        (found,) = traces_of(trace, sites, requests=requests, faster=faster)
        with console.status("simulating"):
            tried = {
                site.profile.name: plans(
                    found, site.profile, policy, predict, targets, settings_of()
                )
                for site in sites
            }
    except (SimulationError, OSError) as error:
        fail("plan", error)
    rows = [
        _plan_cells(name, one, targets) for name, of_profile in tried.items() for one in of_profile
    ]
    headings = ["profile", "engines", *map(str, targets), "mean s", "util.", "cost /h", "met"]
    show(console, results_table(headings, rows))
    least = {name: next(one for one in found if one.met) for name, found in tried.items()}
    prices = {site.profile.name: site.profile.price_per_hour for site in sites}
    best = min(least, key=lambda name: (prices[name] or 1.0) * least[name].replicas)
    per_hour = prices[best] * least[best].replicas
    cost = f", {per_hour:.2f} an hour" if per_hour else ""
    print(f"Take {least[best].replicas} of {best}{cost}.")


def _candidate_cells(one: Candidate, targets: Sequence[Target]) -> list[str]:
    measures = one.run.measures
    options = one.tuning.options
    others = [f"{name.rpartition('.')[2]} {options[name]}" for name in options if name != "policy"]
    settings = ", ".join([options["policy"], *dict.fromkeys(others)])
    values = (*(target.value_s(measures) for target in targets), measures.latency_s.mean)
    return [settings, *map(figures, (*values, measures.latency_s.p99, measures.wait_s.max))]


def _plan_cells(name: str, one: Plan, targets: Sequence[Target]) -> list[str]:
    measures = one.run.measures
    hours = measures.duration_s / 3600.0
    return [
        name,
        str(one.replicas),
        *(figures(target.value_s(measures)) for target in targets),
        figures(measures.latency_s.mean),
        share(measures.utilisation),
        figures(measures.cost / hours) if hours else "-",
        "yes" if one.met else "no",
    ]
