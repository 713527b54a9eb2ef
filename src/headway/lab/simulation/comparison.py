"""The same traffic under several policies, spread over the processor's cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableSequence, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.sharedctypes import RawArray

from headway.core.policies import POLICIES
from headway.core.routing import SHARED, router_of
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.measures import Measures, Slo, measures_of
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.predictions import predictions_of
from headway.lab.simulation.processes import over_processes
from headway.lab.simulation.simulator import ALWAYS_ON, simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace
from headway.machine import usable_cores

ORACLE = "srpt+oracle"
"""The reference for what can be gained: preemptive, and knows every length."""


def label_of(policy: str, routing: str = "") -> str:
    """The label of a row: a policy, and if several routings are compared `POLICY, ROUTING`."""
    return f"{policy}, {routing}" if routing else policy


def parts_of(label: str) -> tuple[str, str]:
    """The policy and the routing of a label; the routing is empty if the label has none."""
    policy, _, routing = label.partition(", ")
    return policy, routing


@dataclass(frozen=True, slots=True)
class Contender:
    """A policy, the prediction it gets, and how requests reach it."""

    policy: str
    prediction: str
    routing: str = SHARED
    settings: SchedulerSettings | None = None
    """Settings of this contender; None: those of the scenario."""
    slots: int = 0
    """Slots of each site; 0: those of the scenario."""

    @classmethod
    def parse(cls, text: str, prediction: str, routing: str = SHARED) -> Contender:
        """From `NAME`, which gets `prediction`, or from `NAME+PREDICTION`.

        Raises:
            SimulationError: there is no policy of that name.
        """
        policy, _, own = text.strip().partition("+")
        if policy not in POLICIES:
            raise SimulationError(f"no policy {policy!r}; there are {', '.join(POLICIES)}")
        return cls(policy, own or prediction, routing)


@dataclass(frozen=True)
class Scenario:
    """Everything about a comparison except the policies."""

    traces: Sequence[Trace]
    """One for each seed; a recorded one is the same for all."""
    sites: Sequence[Site]
    settings: SchedulerSettings
    slo: Slo
    cluster: Cluster = ALWAYS_ON
    """Its routing and its seed are those of each run."""


@dataclass(frozen=True)
class Run:
    """One contender on one seed."""

    label: str
    """Of its row."""
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
        progress: called now and then with the number of ended requests over all runs.

    Raises:
        SimulationError: there is no such prediction, routing or backend to fail, or a request
            fits no engine.
    """
    tasks = [
        (label, contender, seed)
        for label, contender in contenders.items()
        for seed in range(len(scenario.traces))
    ]
    for contender in contenders.values():  # report a mistake before minutes of work
        predictions_of(contender.prediction, scenario.traces[0].first(1))
        try:
            router_of(contender.routing)
        except ValueError as error:
            raise SimulationError(str(error)) from None
    done: dict[str, list[Run]] = {label: [] for label in contenders}
    for run in _runs(scenario, tasks, processes or usable_cores(), progress):
        done[run.label].append(run)
    for runs in done.values():
        runs.sort(key=lambda run: run.seed)
    return done


Task = tuple[str, Contender, int]
Ended = MutableSequence[int]
"""How many requests of each task have ended, in memory that processes share."""


def _runs(
    scenario: Scenario,
    tasks: Sequence[Task],
    processes: int,
    progress: Callable[[int], None] | None,
) -> Iterator[Run]:
    ended = RawArray("q", len(tasks))  # all of them write here, each its own number

    def report() -> None:
        if progress is not None:
            progress(sum(ended))

    if processes > 1 and len(tasks) > 1:
        yield from over_processes(
            _run_apart, (scenario, ended), list(enumerate(tasks)), processes, report
        )
        return
    for number, task in enumerate(tasks):

        def count(requests: int, number: int = number) -> None:
            ended[number] = requests
            report()

        yield _run(scenario, task, count)


def _run_apart(shared: tuple[Scenario, Ended], numbered: tuple[int, Task]) -> Run:
    (scenario, ended), (number, task) = shared, numbered
    return _run(scenario, task, partial(ended.__setitem__, number))


def _run(scenario: Scenario, task: Task, progress: Callable[[int], None]) -> Run:
    label, contender, seed = task
    trace = scenario.traces[seed]
    settings = replace(contender.settings or scenario.settings, policy=contender.policy)
    sites = scenario.sites
    if contender.slots:
        sites = [replace(site, slots=contender.slots) for site in sites]
    prediction = predictions_of(contender.prediction, trace, seed)
    cluster = replace(scenario.cluster, routing=contender.routing, seed=seed)
    outcome = simulate(trace, sites, settings, prediction, progress, cluster)
    progress(len(trace))
    return Run(label, seed, outcome, measures_of(trace, outcome, sites, scenario.slo))
