"""`headway advise` and `headway plan`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from headway.lab.report.figures import figures, share
from headway.lab.report.terminal import fail, results_table, show, table_console
from headway.lab.simulation.answers import (
    MOST_REPLICAS,
    Candidate,
    Plan,
    Tuning,
    candidates,
    plans,
    plans_of_each,
)
from headway.lab.simulation.comparison import Run
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.options import (
    DEFAULT_PROFILE,
    BacklogTarget,
    ColdStart,
    Engines,
    Faster,
    Idle,
    Load,
    Prediction,
    Price,
    Requests,
    Slots,
    TraceText,
    choices_of,
    names_in,
    served_settings,
    settings_of,
    sites_of,
    traces_of,
)
from headway.lab.simulation.routing import KINDS, SHARED
from headway.lab.simulation.scaling import Scaling, parse_scaling
from headway.lab.simulation.slo import Target, are_met, parse_targets, shortfall

Objective = Annotated[str, typer.Option(help="As ttft_p99=1s,latency_mean=10s.")]
SHOWN = 8


def advise(
    trace: TraceText,
    slo: Objective,
    profile: Engines = DEFAULT_PROFILE,
    slots: Slots = 0,
    policies: Annotated[
        str, typer.Option(help="Those to choose from.")
    ] = "fcfs,sjf,srpt,trail,gittins,hrrn,mlfq",
    predict: Prediction = "history",
    load: Load = 0.0,
    faster: Faster = 1.0,
    requests: Requests = 0,
) -> None:
    """Say which policy and settings serve this traffic best, and what they would have bought."""
    console = table_console()
    try:
        targets = parse_targets(slo)
        sites = sites_of(profile, slots)
        (found,) = traces_of(trace, sites, requests=requests, faster=faster, load=load)
        names = names_in(policies)
        with console.status("simulating"):
            tried = candidates(found, sites, names, predict, served_settings(), targets)
    except (SimulationError, OSError) as error:
        fail("advise", error)
    headings = ["settings", *map(str, targets), "mean s", "p99 s", "worst wait s"]
    rows = [_candidate_cells(one, targets) for one in tried[:SHOWN]]
    headings, rows = _with_rejected(headings, rows, [one.run for one in tried[:SHOWN]])
    show(console, results_table(headings, rows))
    for line in advice(tried, targets, slots):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def advice(tried: Sequence[Candidate], targets: Sequence[Target], slots: int = 0) -> list[str]:
    """The recommendation in words: the first of them.

    Args:
        tried: what was found, the best first.
        targets: what was asked for.
        slots: of each engine, where that was said; 0: as its profile has.
    """
    best = tried[0]
    would = best.run.measures
    settings = " ".join(f"--set {name}={value}" for name, value in best.tuning.options.items())
    lines = [f"Use: headway serve {settings}"]
    at_once = best.tuning.slots or slots
    if at_once:
        lines.append(
            f"with {at_once} requests at once on each engine: --max-concurrency {at_once} after "
            f"--backend, or for the embedded engine --slots {at_once}."
        )
    first = next((one for one in tried if one.tuning == Tuning("fcfs")), None)
    was = first.run.measures if first is not None and first is not best else None
    if was is not None and (was.rejected or would.rejected):
        lines.append(
            f"It rejects {would.rejected} of {would.requests} requests, fcfs {was.rejected}."
        )
    if was is not None and max(was.rejected, would.rejected) < would.requests:
        lines.append(
            f"It has {would.latency_s.mean / was.latency_s.mean:.2f} times the mean latency of "
            f"fcfs ({figures(would.latency_s.mean)} s, not {figures(was.latency_s.mean)} s), p99 "
            f"{figures(would.latency_s.p99)} s, not {figures(was.latency_s.p99)} s; worst wait "
            f"{figures(would.wait_s.max)} s, not {figures(was.wait_s.max)} s."
        )
    if would.rejected:
        asked = ", ".join(map(str, targets))
        lines.append(
            f"No policy meets {asked} for everybody: {shortfall(targets, would)} under the best. "
            f"`headway plan` says how many engines would."
        )
    elif not are_met(targets, would):
        missed = [target for target in targets if target.missed(would)]
        reached = ", ".join(f"{figures(target.value_s(would))} s" for target in missed)
        lines.append(
            f"No policy meets {', '.join(map(str, missed))}: the best reaches {reached}. "
            f"`headway plan` says how many engines would."
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
        sites = choices_of(profile, slots, price)
        scale = "" if least is None else f"{least}..{MOST_REPLICAS}"
        scaling = parse_scaling(scale, cold_start, idle, backlog)
        (found,) = traces_of(trace, sites, requests=requests, faster=faster)
        plan_of = partial(
            plans,
            found,
            policy=policy,
            foresight=predict,
            targets=targets,
            settings=settings_of(),
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
        _plan_cells(name, one, targets, scaling is not None, priced)
        for name, of_profile in tried.items()
        for one in of_profile
    ]
    scaled = ["mean on", "cold wait"] if scaling is not None else []
    headings = ["profile", "engines", *scaled, *map(str, targets)]
    headings += ["mean s", "util.", *(["cost /h"] if priced else []), "met"]
    runs = [one.run for of_profile in tried.values() for one in of_profile]
    headings, rows = _with_rejected(headings, rows, runs)
    show(console, results_table(headings, rows))
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


def _with_rejected(
    headings: list[str], rows: list[list[str]], runs: Sequence[Run]
) -> tuple[list[str], list[list[str]]]:
    """Another column where anybody was rejected: who gets no answer is in no other number."""
    rejected = [one.measures.rejected for one in runs]
    if not any(rejected):
        return headings, rows
    cells = zip(rows, rejected, strict=True)
    return [*headings, "rejected"], [[*row, str(number)] for row, number in cells]


def _candidate_cells(one: Candidate, targets: Sequence[Target]) -> list[str]:
    measures = one.run.measures
    options = one.tuning.options
    others = [f"{name.rpartition('.')[2]} {options[name]}" for name in options if name != "policy"]
    if one.tuning.slots is not None:
        others.append(f"slots {one.tuning.slots}")
    settings = ", ".join([options["policy"], *dict.fromkeys(others)])
    values = (*(target.value_s(measures) for target in targets), measures.latency_s.mean)
    return [settings, *map(figures, (*values, measures.latency_s.p99, measures.wait_s.max))]


def _plan_cells(
    name: str, one: Plan, targets: Sequence[Target], scaled: bool, priced: bool
) -> list[str]:
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
        *([figures(measures.cost / hours) if hours else "-"] if priced else []),
        "yes" if one.met else "no",
    ]
