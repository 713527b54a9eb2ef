"""Replicas that come with the work and go without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import CLOCK, trace

from headway.core.fleet.scaling import Scaling
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.cluster import Cluster, parse_scaling
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.failures import Failures, Outage
from headway.lab.simulation.measures import measures_of
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.predictions import Oracle
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

PRICED = replace(CLOCK, price_per_hour=3600.0)
"""A second costs 1."""
SITES = [Site(name, PRICED) for name in ("a", "b", "c")]
ZERO = Scaling(0, 3, cold_start_s=5.0, idle_s=10.0, backlog_s=2.0)
ONE = replace(ZERO, least=1)
BOTH = pytest.mark.parametrize("routing", ["shared", "least_work"])


def run(
    of: Trace, scaling: Scaling, routing: str = "shared", *failures: tuple[str, Outage]
) -> Outcome:
    cluster = Cluster(routing, scaling, Failures(failures))
    return simulate(of, SITES, SchedulerSettings("fcfs"), Oracle(of), cluster=cluster)


@BOTH
def test_the_first_request_of_a_cluster_at_zero_waits_for_a_cold_start(routing: str) -> None:
    outcome = run(trace([3.0], [100]), ZERO, routing)
    assert outcome.wait_s.tolist() == pytest.approx([5.0])
    assert outcome.ended_s.tolist() == pytest.approx([9.0])
    assert outcome.on_spans == [(0, 3.0, outcome.ended_s[0])]
    assert outcome.cold_starts == 1


@BOTH
def test_a_replica_without_work_is_switched_off_and_comes_back_cold(routing: str) -> None:
    outcome = run(trace([0.0, 100.0], [100, 100]), ZERO, routing)
    assert outcome.on_spans == [(0, 0.0, 16.0), (0, 100.0, pytest.approx(106.0))]
    assert outcome.wait_s.tolist() == pytest.approx([5.0, 5.0])
    assert outcome.cold_starts == 2


@BOTH
def test_it_stays_on_when_work_comes_before_it_is_idle_for_long(routing: str) -> None:
    outcome = run(trace([0.0, 15.9, 26.8], [100, 100, 100]), ZERO, routing)
    assert outcome.wait_s.tolist() == pytest.approx([5.0, 0.0, 0.0])
    assert outcome.cold_starts == 1


def test_the_least_are_on_from_the_beginning() -> None:
    outcome = run(trace([0.0, 50.0], [100, 100]), ONE)
    assert outcome.wait_s.tolist() == [0.0, 0.0]
    assert outcome.on_spans == [(0, 0.0, outcome.ended_s[-1])]
    assert outcome.cold_starts == 0


def test_more_are_started_when_more_work_waits_than_the_target() -> None:
    # Of 10 s of work 9 wait, which are 2 s a slot only with 5 replicas; there are 3 at most.
    outcome = run(trace([0.0] * 10, [100] * 10), ONE)
    assert {span[0] for span in outcome.on_spans} == {0, 1, 2}
    assert outcome.cold_starts == 2
    assert (outcome.ended_s <= 7.1).all()
    few = run(trace([0.0] * 3, [100] * 3), ONE)
    assert few.cold_starts == 0, "2 s wait: that is the target"


def test_a_replica_that_drains_is_taken_back_before_another_is_started() -> None:
    two = [Site(name, replace(CLOCK, slots=2)) for name in "ab"]
    scaling = Scaling(1, 2, cold_start_s=5.0, idle_s=1.0, backlog_s=0.5)
    # From 8 s on both run one, so that b drains from 9 s on; at 12 s two come, and one has to wait.
    of = trace([0.0, 0.0, 0.0, 12.0, 12.0], [2000, 800, 2000, 400, 400])
    cluster = Cluster(scaling=scaling)
    outcome = simulate(of, two, SchedulerSettings("fcfs"), Oracle(of), cluster=cluster)
    assert outcome.wait_s.tolist() == pytest.approx([0.0, 0.0, 5.0, 0.0, 0.0], abs=0.02)
    assert outcome.backend.tolist() == [0, 0, 1, 0, 1]
    assert outcome.cold_starts == 1


def test_what_drains_is_ended_and_not_killed() -> None:
    two = [Site(name, replace(CLOCK, slots=2)) for name in "ab"]
    scaling = Scaling(0, 2, cold_start_s=5.0, idle_s=1.0, backlog_s=0.5)
    of = trace([0.0, 0.0, 0.0], [2000, 800, 3000])
    cluster = Cluster(scaling=scaling)
    outcome = simulate(of, two, SchedulerSettings("fcfs"), Oracle(of), cluster=cluster)
    assert outcome.finished.all()
    assert outcome.failovers.tolist() == [0, 0, 0]
    assert outcome.cold_starts == 2


def test_one_request_starts_one_replica_however_long_it_is() -> None:
    assert run(trace([0.0], [10_000]), ZERO).cold_starts == 1


def test_who_fails_is_replaced_by_another_replica() -> None:
    outcome = run(trace([0.0], [1000]), ONE, "shared", ("a", Outage(3.0, 99.0)))
    assert outcome.backend.tolist() == [1]
    assert outcome.ended_s[0] == pytest.approx(3.0 + 5.0 + 7.0)
    assert outcome.cold_starts == 1


@BOTH
def test_waiting_counts_as_of_cold_starts_while_a_replica_was_starting(routing: str) -> None:
    # The only replica starts from 0 to 5 s and has one slot, busy to 6 s. So the second waits from
    # 3 to 6 s, of which 2 s are of the start, and the third finds it on and free.
    of = trace([0.0, 3.0, 8.0], [100, 100, 100])
    outcome = run(of, ZERO, routing)
    assert outcome.starting_spans == [(0, 0.0, 5.0)]
    assert outcome.cold_start_wait_s.tolist() == pytest.approx([5.0, 2.0, 0.0])
    measures = measures_of(of, outcome, SITES)
    assert measures.cold_start_wait_s == pytest.approx(7.0)
    assert measures.cold_start_wait_share == pytest.approx(7.0 / 8.0)


def test_waiting_for_a_slot_that_is_busy_is_not_of_cold_starts() -> None:
    two = [Site(name, PRICED) for name in "ab"]
    scaling = Scaling(1, 2, cold_start_s=5.0, idle_s=100.0, backlog_s=0.5)
    # a is busy from 0 to 100 s. b starts from 1 to 6 s and is busy to 106 s. So the second waits
    # from 1 to 6 s, and the third from 4 to 100 s, of which only 2 s are of b's start.
    of = trace([0.0, 1.0, 4.0], [10_000, 10_000, 100])
    cluster = Cluster(scaling=scaling)
    outcome = simulate(of, two, SchedulerSettings("fcfs"), Oracle(of), cluster=cluster)
    assert outcome.starting_spans == [(1, 1.0, 6.0)]
    assert outcome.cold_start_wait_s.tolist() == pytest.approx([0.0, 5.0, 2.0])
    measures = measures_of(of, outcome, two)
    assert measures.cold_start_wait_share == pytest.approx(7.0 / 101.0, rel=1e-3)


def test_two_that_start_at_once_count_each_second_of_waiting_once() -> None:
    outcome = run(trace([0.0] * 10, [100] * 10), ONE)
    assert outcome.cold_starts == 2
    assert outcome.cold_start_wait_s.tolist() == pytest.approx(np.minimum(outcome.wait_s, 5.0))


def test_the_cost_is_of_what_was_on() -> None:
    of = trace([0.0, 100.0], [100, 100])
    scaled = measures_of(of, run(of, ZERO), SITES)
    assert scaled.replica_s == pytest.approx(16.0 + 6.0)
    assert scaled.cost == pytest.approx(22.0)
    assert scaled.utilisation == pytest.approx(2.0 / 22.0)
    fixed = simulate(of, SITES, SchedulerSettings("fcfs"), Oracle(of))
    always = measures_of(of, fixed, SITES)
    assert always.cost == always.replica_s == pytest.approx(3 * 101.0)
    assert always.replicas == pytest.approx(3.0)


def test_a_warm_fleet_waits_less_and_costs_more() -> None:
    arrival_s = np.cumsum(np.random.default_rng(1).exponential(8.0, 200))
    of = trace(arrival_s.tolist(), [100] * 200)
    zero, warm = (measures_of(of, run(of, scaling), SITES) for scaling in (ZERO, ONE))
    assert zero.wait_s.mean > warm.wait_s.mean
    assert zero.cost < warm.cost


@pytest.mark.parametrize("text", ["2", "1..", "..3", "a..b", "-1..2", "0..0", "1..2..3"])
def test_a_scale_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(SimulationError, match=r"cannot read the scale .* LEAST\.\.MOST"):
        parse_scaling(text, 1.0, 1.0, 1.0)


def test_a_scale_is_read() -> None:
    assert parse_scaling("", 1.0, 1.0, 1.0) is None
    assert parse_scaling("0..4", 60.0, 30.0, 5.0) == Scaling(0, 4, 60.0, 30.0, 5.0)
    with pytest.raises(SimulationError, match=r"'4\.\.1' has its least above its most; .* 1\.\.4"):
        parse_scaling("4..1", 1.0, 1.0, 1.0)
    with pytest.raises(SimulationError, match="--idle and --backlog are seconds above 0"):
        parse_scaling("0..4", 1.0, 0.0, 1.0)
