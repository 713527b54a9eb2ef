"""What `headway advise` tries, and in which order it tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.simulation.conftest import SMALL, trace

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings
from headway.simulation.answers import Tuning, candidates
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
