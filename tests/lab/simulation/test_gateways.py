"""Several gateways that share the sites of a simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headway.core.estimate import SizeEstimate
from headway.core.request import Request, Tier
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.failures import Failures, Outage
from headway.lab.simulation.gateways import Gateways, Sharing
from headway.lab.simulation.generated import Recipe
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.predictions import Noisy
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.site_list import sites_of
from headway.lab.simulation.station import Station
from headway.lab.simulation.trace import Trace

ONE = sites_of("llama-3.1-8b-a100", 4)
TWO = sites_of("llama-3.1-8b-a100*2", 4)
POLICIES = ("fcfs", "sjf", "hrrn", "boost", "srpt", "gittins", "edf")


def traffic(sites: list[Site], requests: int = 150) -> Trace:
    made = Recipe("poisson:1", count=requests).make()
    return at_load(made, capacity_rps(made, sites), 0.95)


def run(of: Trace, sites: list[Site], policy: str, sharing: Sharing | None = None) -> Outcome:
    settings = SchedulerSettings(policy=policy)
    return simulate(of, sites, settings, Noisy(of, 0.5), cluster=Cluster(sharing=sharing))


@pytest.mark.parametrize("policy", POLICIES)
def test_one_gateway_is_a_scheduler_alone(policy) -> None:
    of = replace(traffic(ONE), deadline_s=np.linspace(30.0, 90.0, 150))
    alone, shared = run(of, ONE, policy), run(of, ONE, policy, Sharing(1))
    assert np.array_equal(alone.ended_s, shared.ended_s)
    assert np.array_equal(alone.preemptions, shared.preemptions)


@pytest.mark.parametrize("policy", ["fcfs", "sjf"])
def test_three_gateways_serve_in_the_order_of_one_scheduler(policy) -> None:
    of = traffic(ONE)
    alone, shared = run(of, ONE, policy), run(of, ONE, policy, Sharing(3))
    assert np.allclose(alone.started_s, shared.started_s)
    assert shared.inversions == 0.0


@pytest.mark.parametrize("policy", POLICIES)
def test_hardly_any_request_starts_before_a_better_placed_one(policy) -> None:
    of = traffic(TWO)
    shared = run(of, TWO, policy, Sharing(3))
    assert shared.inversions <= 0.03
    assert shared.finished.all()


def test_batch_work_of_any_gateway_yields_to_interactive_requests_of_another() -> None:
    kinds = [Tier.INTERACTIVE if number % 4 == 3 else Tier.BATCH for number in range(150)]
    of = replace(traffic(ONE), tiers=kinds)
    chat = np.array(kinds) == Tier.INTERACTIVE
    alone, shared = run(of, ONE, "fcfs"), run(of, ONE, "fcfs", Sharing(3))
    assert shared.preemptions.sum() > 0
    assert shared.latency_s[chat].mean() <= 1.1 * alone.latency_s[chat].mean()


def test_what_a_gateway_hears_late_delays_starts_and_loses_nothing() -> None:
    of = traffic(TWO)
    late, at_once = (run(of, TWO, "sjf", Sharing(3, delay_s)) for delay_s in (0.05, 0.0))
    assert late.finished.all()
    assert late.wait_s[0] == pytest.approx(0.1), "a post, and a grant"
    assert late.wait_s.mean() > at_once.wait_s.mean()


def test_gateways_lose_a_backend_together() -> None:
    of = traffic(TWO)
    failures = Failures(((TWO[0].name, Outage(5.0, 20.0)),))
    cluster = Cluster(failures=failures, sharing=Sharing(3))
    settings = SchedulerSettings(policy="srpt")
    outcome = simulate(of, TWO, settings, Noisy(of, 0.5), cluster=cluster)
    assert outcome.finished.all()
    assert outcome.failovers.sum() > 0


@pytest.mark.parametrize(("sticky", "most"), [(True, 1), (False, 3)])
def test_prompts_that_begin_alike_come_to_one_gateway_if_asked(sticky, most) -> None:
    settings = SchedulerSettings(policy="fcfs")
    stations = [Station(ONE, settings, lambda backend, now_s: []) for _ in range(3)]
    gateways = Gateways(Sharing(3, sticky=sticky), stations, 50, seed=0)
    alike = [Request(str(n), 0.0, 10, SizeEstimate.exactly(10), prefix=7) for n in range(50)]
    assert len({gateways.of(number, one) for number, one in enumerate(alike)}) == most
