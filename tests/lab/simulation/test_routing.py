"""Which site takes a request, router by router, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import CLOCK, SMALL, trace

from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.foresight import Noisy, Oracle
from headway.lab.simulation.generated import Recipe
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.routing import MOST_IMBALANCE, SHARED, Router, router_of
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

DISPATCHED = ("round_robin", "least_requests", "least_work", "prefix", "hexgen:0.3")
FCFS = SchedulerSettings(policy="fcfs")


@dataclass
class Seen:
    """A site as a router sees it, with the work that a test gives it."""

    name: str
    waiting_s: float = 0.0
    requests: int = 0
    token_s: float = 0.01

    def work_s(self, now_s: float) -> float:
        return self.waiting_s

    def duration_s(self, request: Request) -> float:
        return self.token_s * request.estimate.mean


def request(prefix: int = 0) -> Request:
    return Request("r", 0.0, 10, SizeEstimate.exactly(100), prefix=prefix)


def routed(router: Router | None, *sites: Seen, prefix: int = 0) -> str:
    assert router is not None
    return sites[router.route(request(prefix), sites, 0.0)].name


def test_round_robin_takes_turns() -> None:
    router = router_of("round_robin")
    a, b, c = Seen("a"), Seen("b"), Seen("c")
    assert [routed(router, a, b, c) for _ in range(4)] == ["a", "b", "c", "a"]


def test_least_requests_counts_and_does_not_weigh() -> None:
    many, few = Seen("many", 1.0, requests=3), Seen("few", 50.0, requests=2)
    assert routed(router_of("least_requests"), many, few) == "few"


def test_least_work_weighs_and_does_not_count() -> None:
    many, few = Seen("many", 1.0, requests=3), Seen("few", 50.0, requests=2)
    assert routed(router_of("least_work"), many, few) == "many"


def test_of_idle_sites_least_work_takes_the_fastest() -> None:
    assert routed(router_of("least_work"), Seen("slow", token_s=0.04), Seen("fast")) == "fast"


def test_prefix_stays_where_it_was_until_too_much_is_to_be_done_there() -> None:
    router = router_of("prefix")
    home, other = Seen("home", 1.0), Seen("other", 2.0)
    assert routed(router, home, other, prefix=7) == "home"
    limit_s = MOST_IMBALANCE * other.waiting_s + 1.0  # its own service time
    home.waiting_s = limit_s - 0.1
    assert routed(router, home, other, prefix=7) == "home"
    assert routed(router, home, other, prefix=8) == "other"
    assert routed(router, home, other) == "other"
    home.waiting_s = limit_s + 0.1
    assert routed(router, home, other, prefix=7) == "other"
    home.waiting_s = 1.5
    assert routed(router, home, other, prefix=7) == "other", "it moved for good"


def test_prefix_goes_on_elsewhere_when_its_site_is_down() -> None:
    router = router_of("prefix")
    assert routed(router, Seen("home"), Seen("other", 1.0), prefix=7) == "home"
    assert routed(router, Seen("other", 1.0), Seen("third", 2.0), prefix=7) == "other"


@pytest.mark.parametrize(
    ("alpha", "takes"), [(0.0, "idle"), (0.2, "idle"), (0.8, "fast"), (1.0, "fast")]
)
def test_hexgen_weighs_speed_against_work(alpha: float, takes: str) -> None:
    fast, idle = Seen("fast", 5.0), Seen("idle", 0.0, token_s=0.04)
    assert routed(router_of(f"hexgen:{alpha}"), fast, idle) == takes


@pytest.mark.parametrize("name", ["", "random", "hexgen", "hexgen:2", "hexgen:-0.1", "hexgen:nan"])
def test_an_unknown_routing_is_named(name: str) -> None:
    with pytest.raises(SimulationError, match=f"no routing '{name}'; there are shared, round"):
        router_of(name)


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
