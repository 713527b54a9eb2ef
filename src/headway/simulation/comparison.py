"""The same traffic under one policy after another, spread over the processor's cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from headway.core.policies import POLICIES
from headway.core.settings import SchedulerSettings
from headway.simulation.cluster import Cluster
from headway.simulation.errors import SimulationError
from headway.simulation.foresight import foresight_of
from headway.simulation.measures import Measures, Slo, measures_of
from headway.simulation.outcome import Outcome
from headway.simulation.processes import over_processes
from headway.simulation.routing import SHARED, router_of
from headway.simulation.simulator import ALWAYS_ON, simulate
from headway.simulation.site import Site
from headway.simulation.trace import Trace

ORACLE = "srpt+oracle"
"""What there is to gain: preemptive, and told every length."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A policy, what it is told of lengths, and how requests reach it."""

    policy: str
    foresight: str
    routing: str = SHARED
    settings: SchedulerSettings | None = None
    """Its own; None: those of the scenario."""
    slots: int = 0
    """Of each site; 0: as the scenario says."""

    @classmethod
    def parse(cls, text: str, foresight: str, routing: str = SHARED) -> Contender:
        """From `NAME`, which is told what `foresight` says, or `NAME+FORESIGHT`.

        Raises:
            SimulationError: there is no policy of that name.
        """
        policy, _, own = text.strip().partition("+")
        if policy not in POLICIES:
            raise SimulationError(f"no policy {policy!r}; there are {', '.join(POLICIES)}")
        return cls(policy, own or foresight, routing)


@dataclass(frozen=True)
class Scenario:
    """Everything about a comparison but the policies."""

    traces: Sequence[Trace]
    """One for each seed; a recorded one is the same for all."""
    sites: Sequence[Site]
    settings: SchedulerSettings
    slo: Slo
    cluster: Cluster = ALWAYS_ON
    """But for its routing and its seed."""


@dataclass(frozen=True)
class Run:
    """One contender on one seed."""

    label: str
    seed: int
    outcome: Outcome
    measures: Measures


def compare(
    scenario: Scenario,
    contenders: dict[str, Contender],
    *,
    processes: int = 0,
    progress: Callable[[int], None] | None = None,
) -> dict[str, list[Run]]:
    """The runs of every contender, by its label, in order of their seeds.

    Args:
        scenario: what they run on.
        contenders: by the label of their row.
        processes: how many run at once; 0: one a core.
        progress: told of requests that ended, as they do or run by run.

    Raises:
        SimulationError: there is no such prediction, routing or backend to fail, or a request
            fits no engine.
    """
    tasks = [
        (label, contender, seed)
        for label, contender in contenders.items()
        for seed in range(len(scenario.traces))
    ]
    for contender in contenders.values():  # a mistake is told before minutes of work
        foresight_of(contender.foresight, scenario.traces[0].first(1))
        router_of(contender.routing)
    done: dict[str, list[Run]] = {label: [] for label in contenders}
    for run in _runs(scenario, tasks, processes or os.cpu_count() or 1, progress):
        done[run.label].append(run)
    for runs in done.values():
        runs.sort(key=lambda run: run.seed)
    return done


Task = tuple[str, Contender, int]


def _runs(
    scenario: Scenario,
    tasks: Sequence[Task],
    processes: int,
    progress: Callable[[int], None] | None,
) -> Iterator[Run]:
    if processes == 1 or len(tasks) == 1:
        before = 0
        for task in tasks:
            yield _run(scenario, task, partial(_told, progress, before))
            before += len(scenario.traces[task[2]])
        return
    ended = 0
    for run in over_processes(_run_quietly, scenario, tasks, processes):
        ended += run.measures.requests
        if progress is not None:
            progress(ended)
        yield run


def _told(progress: Callable[[int], None] | None, before: int, ended: int) -> None:
    if progress is not None:
        progress(before + ended)


def _run_quietly(scenario: Scenario, task: Task) -> Run:
    return _run(scenario, task, None)


def _run(scenario: Scenario, task: Task, progress: Callable[[int], None] | None) -> Run:
    label, contender, seed = task
    trace = scenario.traces[seed]
    settings = replace(contender.settings or scenario.settings, policy=contender.policy)
    sites = scenario.sites
    if contender.slots:
        sites = [replace(site, slots=contender.slots) for site in sites]
    foresight = foresight_of(contender.foresight, trace, seed)
    cluster = replace(scenario.cluster, routing=contender.routing, seed=seed)
    outcome = simulate(trace, sites, settings, foresight, progress, cluster)
    return Run(label, seed, outcome, measures_of(trace, outcome, sites, scenario.slo))
