"""What comes of each routing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import CLOCK, SMALL, trace

from headway.core.routing import SHARED
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.generated import Recipe
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.predictions import Noisy, Oracle
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

DISPATCHED = ("round_robin", "least_requests", "least_work", "prefix", "hexgen:0.3")
FCFS = SchedulerSettings(policy="fcfs")


def run(of: Trace, sites: list[Site], routing: str, policy: str = "fcfs") -> Outcome:
    settings = SchedulerSettings(policy=policy)
    return simulate(of, sites, settings, Noisy(of, 0.5), cluster=Cluster(routing))


@pytest.mark.parametrize("routing", DISPATCHED)
def test_a_request_stays_where_it_was_sent(routing: str) -> None:
    of = trace([0.0, 0.0, 0.0, 0.1], [400, 10, 10, 10])
    sites = [Site("a", CLOCK), Site("b", CLOCK)]
    outcome = simulate(of, sites, FCFS, Oracle(of), cluster=Cluster(routing))
    for backend in (0, 1):
        here = np.flatnonzero(outcome.backend == backend)
        assert (np.diff(outcome.started_s[here]) > 0).all(), "one after the other"


def test_round_robin_waits_behind_the_long_one_and_a_shared_queue_does_not() -> None:
    of = trace([0.0, 0.0, 0.1], [1000, 10, 10])
    sites = [Site("a", CLOCK), Site("b", CLOCK)]
    assert run(of, sites, "round_robin").wait_s[2] == pytest.approx(9.9)
    assert run(of, sites, SHARED).wait_s[2] == pytest.approx(0.0, abs=0.01)
    assert run(of, sites, "least_work").wait_s[2] == pytest.approx(0.0, abs=0.01)


SLOW = replace(SMALL, name="slow", dense_s=(0.030, 0.036, 0.120))


def heavy(sites: list[Site], load: float, seed: int = 0) -> Trace:
    """Poisson arrivals with heavy-tailed answers."""
    made = Recipe("poisson:1", "fixed:50", "lognormal:100@2", 800).make(seed)
    return at_load(made, capacity_rps(made, sites), load)


def test_least_work_beats_round_robin_on_unlike_engines_and_heavy_tails() -> None:
    sites = [Site("fast", SMALL), Site("slow", SLOW)]
    of = heavy(sites, 0.8)
    means_s = {
        name: run(of, sites, name).latency_s.mean() for name in ("least_work", "round_robin")
    }
    assert means_s["least_work"] < 0.5 * means_s["round_robin"]


@pytest.mark.parametrize("routing", DISPATCHED)
def test_no_dispatch_beats_a_shared_queue_of_like_engines(routing: str) -> None:
    sites = [Site(name, SMALL) for name in "abc"]
    means_s: dict[str, list[float]] = {SHARED: [], routing: []}
    for seed in range(3):
        of = heavy(sites, 0.85, seed)
        for name, found in means_s.items():
            found.append(float(run(of, sites, name).latency_s.mean()))
    assert np.mean(means_s[SHARED]) < 1.02 * np.mean(means_s[routing])


@pytest.mark.parametrize("routing", [SHARED, *DISPATCHED])
def test_equal_input_is_routed_alike(routing: str) -> None:
    sites = [Site("fast", SMALL), Site("slow", SLOW)]
    of = heavy(sites, 0.8)
    first, second = (run(of, sites, routing, "srpt") for _ in range(2))
    assert first.backend.tolist() == second.backend.tolist()
    assert first.ended_s.tolist() == second.ended_s.tolist()


def test_with_one_site_every_routing_is_the_same() -> None:
    of = heavy([Site("a", SMALL)], 0.9)
    ends = {
        name: run(of, [Site("a", SMALL)], name, "srpt").ended_s for name in (SHARED, *DISPATCHED)
    }
    for name in DISPATCHED:
        assert ends[name] == pytest.approx(ends[SHARED]), name
