"""A fleet as a live autoscaler would drive it: by events, with no clock of its own."""

from __future__ import annotations

from math import inf

from headway.core.fleet.fleet import Change, Fleet, ReplicaState
from headway.core.fleet.scaling import Scaling

OFF, STARTING, ON, DRAINING, DOWN = ReplicaState
ONE_TO_THREE = Scaling(1, 3, cold_start_s=5.0, idle_s=10.0, backlog_s=2.0)


def fleet(scaling: Scaling = ONE_TO_THREE) -> Fleet:
    return Fleet(scaling.most, scaling, slots=4)


def test_work_that_waits_too_long_starts_a_replica_which_is_on_when_it_is_ready() -> None:
    of = fleet()
    assert of.adjust(0.0, 6, 16.0, [4, 0, 0]) == [Change(1, OFF, STARTING)]
    assert of.adjust(1.0, 6, 16.0, [4, 0, 0]) == [], "one that starts is counted"
    assert of.ready(1) == [Change(1, STARTING, ON)]
    assert of.ready(1) == []
    assert of.states == [ON, ON, OFF]


def test_without_a_cold_start_it_is_on_at_once() -> None:
    of = fleet(Scaling(1, 3, cold_start_s=0.0, backlog_s=2.0))
    assert of.adjust(0.0, 6, 16.0, [4, 0, 0]) == [Change(1, OFF, ON)]


def test_a_spare_replica_is_drained_when_its_time_is_over_and_then_switched_off() -> None:
    of = fleet(Scaling(0, 2, cold_start_s=0.0, idle_s=10.0, backlog_s=2.0))
    of.adjust(0.0, 8, 16.0, [0, 0])
    assert of.states == [ON, ON]
    assert of.next_s == inf
    assert of.adjust(1.0, 0, 0.0, [2, 1]) == []
    assert of.next_s == 11.0
    assert of.adjust(11.0, 0, 0.0, [2, 1]) == [Change(1, ON, DRAINING)]
    assert of.adjust(12.0, 0, 0.0, [2, 0]) == [Change(1, DRAINING, OFF)]


def test_a_draining_replica_comes_back_before_a_cold_one_starts() -> None:
    of = fleet(Scaling(0, 3, cold_start_s=5.0, idle_s=10.0, backlog_s=2.0))
    of.adjust(0.0, 12, 16.0, [0, 0, 0])
    of.ready(0), of.ready(1)
    of.adjust(1.0, 0, 0.0, [2, 1, 0])
    of.adjust(11.0, 0, 0.0, [2, 1, 0])
    assert of.states[1] is DRAINING
    assert of.adjust(12.0, 6, 16.0, [2, 1, 0]) == [Change(1, DRAINING, ON)]


def test_a_failure_is_reported_once_and_a_repaired_replica_is_off() -> None:
    of = fleet()
    assert of.failed(0) == [Change(0, ON, DOWN)]
    assert of.failed(0) == []
    assert of.adjust(1.0, 0, 0.0, [0, 0, 0]) == [Change(1, OFF, STARTING)], "the least stay on"
    assert of.repaired(0) == [Change(0, DOWN, OFF)]
    assert of.repaired(0) == []


def test_a_replica_that_fails_while_it_starts_does_not_become_ready() -> None:
    of = fleet()
    of.adjust(0.0, 6, 16.0, [4, 0, 0])
    of.failed(1)
    assert of.ready(1) == []
    assert of.states[1] is DOWN


def test_a_fleet_whose_least_is_its_most_does_not_scale() -> None:
    assert fleet().scales
    assert not fleet(Scaling(3, 3)).scales
