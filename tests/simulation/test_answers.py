"""What `headway advise` tries, and in which order it tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.simulation.conftest import CLOCK, SMALL, trace

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings
from headway.simulation.answers import Plan, Tuning, candidates, plans
from headway.simulation.errors import SimulationError
from headway.simulation.scaling import Scaling
from headway.simulation.site import Site
from headway.simulation.slo import parse_targets

LENGTHS = np.random.default_rng(0).lognormal(3.5, 1.2, 80).astype(int) + 1
TRACE = trace(np.linspace(0.0, 5.0, len(LENGTHS)), LENGTHS)
SITES = [Site("small", SMALL)]


def tried(of=TRACE, policies=("fcfs", "trail", "mlfq"), slo="wait_p99=1s"):
    return candidates(
        of, SITES, policies, "oracle", SchedulerSettings(), parse_targets(slo), processes=1
    )


def test_parameters_of_a_policy_are_its_own() -> None:
    tunings = [one.tuning for one in tried()]
    assert {one.policy for one in tunings if one.trail_c is not None} == {"trail"}
    assert {one.policy for one in tunings if one.quantum_s is not None} == {"mlfq"}
    assert len({one.quantum_s for one in tunings}) > 3


def test_the_best_is_tried_with_other_bounds_and_slots_and_all_that_helped_at_once() -> None:
    found = tried()
    assert {one.tuning.slots for one in found} == {None, 1, 2, 3}
    assert len({one.tuning.max_wait_s for one in found}) == 4
    missed = [one.missed(parse_targets("wait_p99=1s")) for one in found]
    assert missed == sorted(missed)


def test_tiers_get_weights_only_where_there_are_several() -> None:
    assert all(one.tuning.tier_weights is None for one in tried())
    tiers = [list(Tier)[number % 3] for number in range(len(TRACE))]
    assert any(one.tuning.tier_weights for one in tried(replace(TRACE, tiers=tiers)))


def test_where_nobody_waits_for_one_slot_there_is_nothing_to_turn() -> None:
    alone = trace([0.0], [5])
    one_slot = [Site("small", SMALL, slots=1)]
    targets = parse_targets("wait_p99=1s")
    found = candidates(alone, one_slot, ["fcfs"], "oracle", SchedulerSettings(), targets)
    assert [one.tuning for one in found] == [Tuning("fcfs")]


def test_a_tuning_says_how_to_set_it() -> None:
    tuning = Tuning("trail", trail_c=1.2, tier_weights=(4.0, 2.0, 1.0), slots=3)
    assert tuning.options == {
        "policy": "trail",
        "preemption.trail_c": "1.2",
        "tier_mode": "weighted",
        "tiers.interactive.weight": "4",
        "tiers.standard.weight": "2",
        "tiers.batch.weight": "1",
        "slots": "3",
    }
    settings = tuning.contender("oracle", SchedulerSettings()).settings
    assert settings is not None
    assert (settings.preemption.trail_c, settings.tier(Tier.BATCH).weight) == (1.2, 1.0)


FOUR_AT_ONCE = trace([0.0, 0.0, 0.0, 0.0, 30.0], [100] * 5)
"""Each takes 1 s on the one slot of an engine."""


ENGINE = Site("clock", CLOCK)


def planned(
    slo: str,
    engine: Site = ENGINE,
    routing: str = "shared",
    scaling: Scaling | None = None,
) -> list[Plan]:
    targets, settings = parse_targets(slo), SchedulerSettings()
    return plans(FOUR_AT_ONCE, engine, "fcfs", "oracle", targets, settings, routing, scaling)


def test_a_plan_is_the_least_number_that_meets_the_targets() -> None:
    found = planned("wait_max=1.5s")
    assert [(one.replicas, one.met) for one in found] == [(1, False), (2, True), (3, True)]


def test_a_plan_sends_no_more_at_once_than_it_is_told() -> None:
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


def test_engines_that_must_start_first_may_never_meet_a_target() -> None:
    slow = Scaling(1, 99, cold_start_s=60.0, idle_s=2.0, backlog_s=0.1)
    with pytest.raises(SimulationError, match="of which some are never started; keep more on"):
        planned("wait_max=2s", scaling=slow)


def test_a_plan_routes_as_it_is_told() -> None:
    (one, *_) = planned("wait_max=9s", routing="round_robin")
    assert one.met
    with pytest.raises(SimulationError, match="no routing 'random'"):
        planned("wait_max=9s", routing="random")
