"""How many engines `headway plan` finds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from tests.lab.simulation.conftest import CLOCK, SMALL, trace

from headway.core.fleet.scaling import Scaling
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.plans import Plan, plans, plans_of_each
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import parse_objective
from headway.lab.simulation.trace import Trace

FOUR_AT_ONCE = trace([0.0, 0.0, 0.0, 0.0, 30.0], [100] * 5)
"""Each takes 1 s on the one slot of an engine."""
ENGINE = Site("clock", CLOCK)


def planned(
    slo: str,
    engine: Site = ENGINE,
    routing: str = "shared",
    scaling: Scaling | None = None,
) -> list[Plan]:
    targets, settings = parse_objective(slo), SchedulerSettings()
    return plans(FOUR_AT_ONCE, engine, "fcfs", "oracle", targets, settings, routing, scaling)


def test_a_plan_is_the_least_number_that_meets_the_targets() -> None:
    found = planned("wait_max=1.5s")
    assert [(one.replicas, one.met) for one in found] == [(1, False), (2, True), (3, True)]


def test_a_plan_keeps_to_the_given_slots() -> None:
    wide = replace(CLOCK, slots=4)
    assert planned("wait_max=0.5s", Site("clock", wide))[0].met
    assert not planned("wait_max=0.5s", Site("clock", wide, slots=1))[0].met


def test_a_plan_of_engines_that_scale_pays_for_those_that_are_on_and_waits_for_their_start() -> (
    None
):
    scaling = Scaling(1, 99, cold_start_s=0.5, idle_s=2.0, backlog_s=0.1)
    fixed, scaled = planned("wait_max=1.5s"), planned("wait_max=1.5s", scaling=scaling)
    assert [(one.replicas, one.met) for one in scaled] == [(1, False), (2, True), (3, True)]
    assert fixed[1].run.measures.replicas == 2.0
    assert 1.0 < scaled[1].run.measures.replicas < 1.3
    assert scaled[1].run.measures.cold_start_wait_s > 0.0


def test_a_plan_never_has_fewer_engines_than_stay_on() -> None:
    three = Scaling(3, 99, cold_start_s=0.5, idle_s=2.0, backlog_s=0.1)
    found = planned("wait_max=1.5s", scaling=three)
    assert [(one.replicas, one.met) for one in found] == [(3, True), (4, True)]


def test_engines_that_must_start_first_may_never_meet_a_target() -> None:
    slow = Scaling(1, 99, cold_start_s=60.0, idle_s=2.0, backlog_s=0.1)
    with pytest.raises(SimulationError, match="of which some are never started; keep more on"):
        planned("wait_max=2s", scaling=slow)


def test_a_plan_uses_the_given_routing() -> None:
    (one, *_) = planned("wait_max=9s", routing="round_robin")
    assert one.met
    with pytest.raises(SimulationError, match="no routing 'random'"):
        planned("wait_max=9s", routing="random")


def test_a_plan_that_rejects_says_how_many_and_not_by_how_much_it_missed() -> None:
    hurried = replace(FOUR_AT_ONCE, deadline_s=np.full(5, 0.5))
    with pytest.raises(SimulationError, match="do not meet wait_max=9s either: 5 of 5 requests we"):
        plans(
            hurried, ENGINE, "fcfs", "oracle", parse_objective("wait_max=9s"), SchedulerSettings()
        )


BEGIN_ALIKE = replace(
    trace(np.arange(5) * 10.0, [2] * 5, prompt_tokens=4096),
    prefix_hashes=[(*range(7), 7 + number) for number in range(5)],
)
"""Of 3.4 s for a prompt all but 0.5 s is for what it shares with the others."""


def planned_for(of: Trace, slo: str, profile: Profile = SMALL) -> list[Plan]:
    site = Site("small", profile)
    return plans(of, site, "fcfs", "oracle", parse_objective(slo), SchedulerSettings())


def test_a_target_that_only_a_prefix_cache_meets_is_not_hopeless() -> None:
    assert planned_for(BEGIN_ALIKE, "ttft_p50=700ms")[0].met
    says = "ttft_p50=0.3s cannot be met: alone on an idle small it is 0.517 s at best"
    with pytest.raises(SimulationError, match=says):
        planned_for(BEGIN_ALIKE, "ttft_p50=300ms")
    with pytest.raises(SimulationError, match="cannot be met"):
        planned_for(BEGIN_ALIKE, "ttft_p50=700ms", replace(SMALL, prefix_cache=False))


def test_a_session_that_goes_on_is_not_hopeless_either() -> None:
    session = replace(
        trace([0.0, 0.1, 0.2], [2] * 3, prompt_tokens=4096),
        programs=["agent"] * 3,
        after=np.array([-1, 0, 1]),
        gap_s=np.zeros(3),
        shared_tokens=np.array([0, 4000, 4000]),
    )
    assert planned_for(session, "ttft_p50=200ms")[0].met
    with pytest.raises(SimulationError, match="cannot be met"):
        planned_for(replace(session, shared_tokens=np.zeros(3, int)), "ttft_p50=200ms")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_profile_without_hope_leaves_the_others_their_plans(processes: int) -> None:
    slow = Site("slow", CLOCK.slower(1000.0))
    plan = partial(
        plans,
        FOUR_AT_ONCE,
        policy="fcfs",
        prediction="oracle",
        objective=parse_objective("wait_max=1.5s,ttft_p50=1s"),
        settings=SchedulerSettings(),
    )
    found = plans_of_each([slow, ENGINE], plan, processes)
    assert list(found) == ["slow", "clock"]
    assert "alone on an idle slow" in str(found["slow"])
    enough = found["clock"]
    assert not isinstance(enough, SimulationError)
    assert [(one.replicas, one.met) for one in enough] == [(1, False), (2, True), (3, True)]
