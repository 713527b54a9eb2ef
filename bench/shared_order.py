"""Several gateways against one scheduler that sees all: their order, and what it costs.

    HEADWAY_DATA=../shared/data python bench/shared_order.py [--gateways 3] [--delay-ms 0.5]

Each row is one kind of traffic under one policy, on simulated engines: once with one scheduler,
and once dealt at random to several gateways, each with a scheduler of its own, which share the
slots. A start is an inversion if, at that moment, a request waits at another gateway that goes
before it by the policy and could have run in that slot. Latency is that of the same requests, the
mean of all draws over that of one scheduler; so is p99.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np

from claims import Claim, publish
from headway.core.request import Tier
from headway.core.settings import SchedulerSettings
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.comparison import Contender, Run, Scenario, compare
from headway.lab.simulation.gateways import Sharing
from headway.lab.simulation.generated import Recipe
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.measures import Slo
from headway.lab.simulation.settings import served_settings, settings_of
from headway.lab.simulation.site import Site
from headway.lab.simulation.site_list import sites_of
from headway.lab.simulation.trace import Trace
from real_sizes import data

MOST_INVERSIONS = 0.01
MOST_LATENCY = 1.03
POLICIES = ("fcfs", "sjf", "hrrn", "boost", "srpt", "gittins")


@dataclass(frozen=True)
class Traffic:
    """One kind of requests, at no particular load."""

    name: str
    trace: Trace
    policies: Sequence[str] = POLICIES
    settings: SchedulerSettings = settings_of()  # noqa: RUF009 - it never changes
    sticky: bool = False
    """Whether prompts that begin alike come to one gateway."""


def traffics(requests: int) -> Iterator[Traffic]:
    azure, mooncake = (
        load_trace(data() / "traces" / f"{name}.csv.gz").first(requests)
        for name in ("azure2023_conv", "mooncake_conversation")
    )
    yield Traffic("Azure chat", azure)
    yield Traffic("Mooncake, sticky", mooncake, sticky=True)
    yield Traffic("Mooncake, any gateway", mooncake, ("fcfs", "srpt"))
    yield Traffic("R1", load_trace(data() / "traces" / "servegen_deepseek_r1").first(requests))
    made = Recipe("poisson:1", count=requests).make()
    yield Traffic("generated", made)
    yield Traffic("generated, max_wait 60 s", made, ("sjf", "srpt"), settings_of(60.0))
    rng = np.random.default_rng(1)
    kinds = rng.choice(list(Tier), len(made), p=(0.2, 0.3, 0.5))
    mixed = replace(made, tiers=[Tier(kind) for kind in kinds])
    yield Traffic("three tiers", mixed, ("fcfs", "sjf", "srpt"), served_settings())
    kinds = rng.choice([Tier.INTERACTIVE, Tier.BATCH], len(azure), p=(0.4, 0.6))
    chat = replace(azure, tiers=[Tier(kind) for kind in kinds])
    yield Traffic("chat and batch", chat, ("fcfs", "srpt"), served_settings())
    due = replace(made, deadline_s=rng.uniform(20.0, 200.0, len(made)))
    yield Traffic("deadlines", due, ("edf", "slack"))


@dataclass(frozen=True)
class Row:
    """One traffic, load and policy: several gateways over one scheduler."""

    name: str
    mean: float
    p99: float
    by_tier: Sequence[float]
    inversions: float
    preemptions: tuple[float, float]
    rejected: tuple[float, float]


def row_of(name: str, one: Sequence[Run], several: Sequence[Run], trace: Trace) -> Row:
    def ratio(of: str) -> float:
        return fmean(getattr(run.measures.latency_s, of) for run in several) / fmean(
            getattr(run.measures.latency_s, of) for run in one
        )

    def means_of(count: str) -> tuple[float, float]:
        alone, shared = (
            fmean(getattr(run.measures, count) for run in runs) for runs in (one, several)
        )
        return alone, shared

    by_tier = []
    for tier in sorted(set(trace.tiers)) if trace.tiers else ():
        rows = np.array([other is tier for other in trace.tiers])
        means = [
            fmean(np.nanmean(r.outcome.latency_s[rows]) for r in runs) for runs in (several, one)
        ]
        by_tier.append(means[0] / means[1])
    return Row(
        name,
        ratio("mean"),
        ratio("p99"),
        by_tier,
        inversions=fmean(run.measures.inversions for run in several),
        preemptions=means_of("preemptions"),
        rejected=means_of("rejected"),
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gateways", type=int, default=3)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--profile", default="llama-3.1-8b-a100*2")
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--load", type=float, default=0.95)
    parser.add_argument("--draws", type=int, default=2, help="deals of requests to gateways")
    parser.add_argument("--only", default="", help="traffic whose name begins so")
    parser.add_argument("--policies", default="")
    parser.add_argument("--processes", type=int, default=1, help="0: one a core")
    parser.add_argument("--json", type=Path, default=Path("results/shared_order.json"))
    options = parser.parse_args()
    sites = sites_of(options.profile, options.slots)
    sharing = Sharing(options.gateways, options.delay_ms / 1000.0)
    rows: list[Row] = []
    for traffic in traffics(options.requests):
        if not traffic.name.startswith(options.only):
            continue
        trace = traffic.trace
        paced = at_load(trace, capacity_rps(trace, sites), options.load)
        rows += rows_of(traffic, paced, sites, sharing, options)
    headings = ["", "mean", "p99", "by tier", "inversions", "preempted", "rejected"]
    show(table_console(), Results(headings, [cells(row) for row in rows]))
    claims = [
        claim
        for row in rows
        for claim in (
            Claim(f"{row.name}: inversions", row.inversions, MOST_INVERSIONS),
            Claim(f"{row.name}: mean latency", row.mean, MOST_LATENCY),
        )
    ]
    return publish(claims, {}, options.json)


def rows_of(
    traffic: Traffic,
    trace: Trace,
    sites: Sequence[Site],
    sharing: Sharing,
    options: argparse.Namespace,
) -> list[Row]:
    chosen = options.policies.split(",") if options.policies else traffic.policies
    contenders = {name: Contender.parse(name, "noise:0.7") for name in chosen}
    scenario = Scenario([trace] * options.draws, sites, traffic.settings, Slo())
    alone, runs = (
        compare(replace(scenario, cluster=cluster), contenders, processes=options.processes)
        for cluster in (Cluster(), Cluster(sharing=replace(sharing, sticky=traffic.sticky)))
    )
    rows = []
    for name in contenders:
        rows.append(row_of(f"{traffic.name}, {name}", alone[name], runs[name], trace))
        print(*cells(rows[-1]), sep=", ", flush=True)
    return rows


def cells(row: Row) -> list[str]:
    return [
        row.name,
        f"{row.mean:.3f}",
        f"{row.p99:.3f}",
        " ".join(f"{ratio:.2f}" for ratio in row.by_tier),
        f"{row.inversions:.2%}",
        "{:.0f}, {:.0f}".format(*row.preemptions),
        "{:.0f}, {:.0f}".format(*row.rejected),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
