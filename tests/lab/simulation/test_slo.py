"""What was asked for, and whether a run achieved it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.lab.simulation.conftest import CLOCK, trace

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.measures import measures_of
from headway.lab.simulation.predictions import Oracle
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import are_met, parse_targets, shortfall

ONE = [Site("one", CLOCK)]
TWO_AT_ONCE = trace([0.0, 0.0], [100, 100])
"""Each takes 1 s."""
MEASURES = measures_of(
    TWO_AT_ONCE,
    simulate(TWO_AT_ONCE, ONE, SchedulerSettings(policy="fcfs"), Oracle(TWO_AT_ONCE)),
    ONE,
)
HURRIED = replace(TWO_AT_ONCE, deadline_s=np.array([np.nan, 1.5]))
WITH_A_DEADLINE = measures_of(
    HURRIED,
    simulate(HURRIED, ONE, SchedulerSettings(policy="fcfs"), Oracle(HURRIED)),
    ONE,
)


def test_a_target_is_met_by_its_statistic() -> None:
    assert are_met(parse_targets("latency_mean=1.5s,wait_max=1s"), MEASURES)
    targets = parse_targets("latency_mean=1s,wait_max=1s")
    assert not are_met(targets, MEASURES)
    assert shortfall(targets, MEASURES) == "latency_mean=1s was missed by 50%"


def test_nobody_may_be_rejected_to_meet_a_target() -> None:
    targets = parse_targets("latency_max=1.1s")
    assert targets[0].missed(WITH_A_DEADLINE) == 0.0
    assert not are_met(targets, WITH_A_DEADLINE)
    assert shortfall(targets, WITH_A_DEADLINE) == "1 of 2 requests were rejected"
