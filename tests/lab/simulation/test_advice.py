"""What `headway advise` tries, and in which order it reports it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import SMALL, trace

from headway.cli.configuration import read_configuration
from headway.core.request import Tier
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.advice import Tuning, candidates
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.settings import served_settings
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import parse_objective
from headway.lab.simulation.trace import Trace

LENGTHS = np.random.default_rng(0).lognormal(3.5, 1.2, 80).astype(int) + 1
TRACE = trace(np.linspace(0.0, 5.0, len(LENGTHS)), LENGTHS)
SITES = [Site("small", SMALL)]


def tried(of=TRACE, policies=("fcfs", "trail", "mlfq"), slo="wait_p99=1s"):
    return candidates(
        of, SITES, policies, "oracle", SchedulerSettings(), parse_objective(slo), processes=1
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
    worth = [one.worth(parse_objective("wait_p99=1s")) for one in found]
    assert worth == sorted(worth)


def test_a_bound_is_for_tiers_of_the_traffic_only() -> None:
    """Batch work that was not there could wait for a bound that nobody tried."""

    def bounded(of: Trace) -> set[tuple[Tier, ...]]:
        return {one.tuning.bounded for one in tried(of) if one.tuning.max_wait_s is not None}

    assert bounded(TRACE) == {(Tier.STANDARD,)}
    two = [(Tier.BATCH, Tier.INTERACTIVE)[number % 2] for number in range(len(TRACE))]
    assert bounded(replace(TRACE, tiers=two)) == {(Tier.INTERACTIVE, Tier.BATCH)}


def test_tiers_get_weights_only_where_there_are_several() -> None:
    assert all(one.tuning.tier_weights is None for one in tried())
    tiers = [list(Tier)[number % 3] for number in range(len(TRACE))]
    assert any(one.tuning.tier_weights for one in tried(replace(TRACE, tiers=tiers)))


def test_where_nobody_waits_for_one_slot_there_is_nothing_to_turn() -> None:
    alone = trace([0.0], [5])
    one_slot = [Site("small", SMALL, slots=1)]
    targets = parse_objective("wait_p99=1s")
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
    }
    contender = tuning.contender("oracle", SchedulerSettings())
    settings = contender.settings
    assert settings is not None
    assert (settings.preemption.trail_c, settings.tier(Tier.BATCH).weight) == (1.2, 1.0)
    assert contender.slots == 3


@pytest.mark.parametrize(
    "tuning",
    [
        Tuning("fcfs"),
        Tuning("sjf", max_wait_s=7.5),
        Tuning("sjf", max_wait_s=7.5, bounded=(Tier.STANDARD,)),
        Tuning("trail", trail_c=1.2, tier_weights=(4.0, 2.0, 1.0)),
        Tuning("mlfq", quantum_s=0.25, max_wait_s=30.0, tier_weights=(16.0, 4.0, 1.0)),
    ],
)
def test_the_gateway_with_the_advised_settings_runs_what_was_simulated(tuning: Tuning) -> None:
    assignments = [f"{name}={value}" for name, value in tuning.options.items()]
    served = read_configuration({}, assignments, None).settings.scheduler()
    simulated = tuning.contender("oracle", served_settings()).settings
    assert simulated is not None
    assert replace(simulated, policy=tuning.policy) == served


@pytest.mark.parametrize(
    ("policies", "says"),
    [
        (["fastest"], "^no policy 'fastest'; there are fcfs, .*priority, .*urgency$"),
        (["fcfs", "srpt+oracle"], "^no policy 'srpt\\+oracle'; .* --predict sets the prediction"),
        ([], "^there is no policy to choose; name some"),
    ],
)
def test_only_policies_that_a_gateway_has_are_tried(policies: list[str], says: str) -> None:
    with pytest.raises(SimulationError, match=says):
        tried(policies=policies)


def test_who_rejects_fewer_is_better_however_soon_the_rest_is_answered() -> None:
    deadlines = np.where(np.arange(len(TRACE)) % 2, 0.6, np.nan)
    found = tried(replace(TRACE, deadline_s=deadlines), ("fcfs", "sjf"))
    rejected = [one.run.measures.rejected for one in found]
    assert rejected == sorted(rejected)
    assert 0 < rejected[0] < rejected[-1]


def test_fcfs_is_tried_for_comparison_whatever_is_asked_for() -> None:
    assert Tuning("fcfs") in [one.tuning for one in tried(policies=("sjf",))]


def test_more_slots_than_the_engines_have_are_tried_only_where_nothing_else_meets_the_targets() -> (
    None
):
    assert max(one.tuning.slots or 0 for one in tried(slo="wait_p99=1000s")) == 3
    assert {8, 16} < {one.tuning.slots for one in tried(slo="wait_p99=1ms")}
