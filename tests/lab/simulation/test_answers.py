"""What `headway advise` tries, and in which order it tells."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from tests.lab.simulation.conftest import CLOCK, SMALL, trace

from headway.cli.configuration import read_configuration
from headway.core.request import Tier
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.answers import Plan, Tuning, candidates, plans, plans_of_each
from headway.lab.simulation.answers_command import advice
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.measures import Distribution
from headway.lab.simulation.options import served_settings
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.scaling import Scaling
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import parse_targets
from headway.lab.simulation.trace import Trace

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
    worth = [one.worth(parse_targets("wait_p99=1s")) for one in found]
    assert worth == sorted(worth)


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
        Tuning("trail", trail_c=1.2, tier_weights=(4.0, 2.0, 1.0)),
        Tuning("mlfq", quantum_s=0.25, max_wait_s=30.0, tier_weights=(16.0, 4.0, 1.0)),
    ],
)
def test_what_the_gateway_runs_when_told_so_is_what_was_simulated(tuning: Tuning) -> None:
    told = [f"{name}={value}" for name, value in tuning.options.items()]
    served = read_configuration({}, told, None).settings.scheduler()
    simulated = tuning.contender("oracle", served_settings()).settings
    assert simulated is not None
    assert replace(simulated, policy=tuning.policy) == served


@pytest.mark.parametrize(
    ("policies", "says"),
    [
        (["fastest"], "^no policy 'fastest'; there are fcfs, .*priority$"),
        (["fcfs", "srpt+oracle"], "^no policy 'srpt\\+oracle'; .* --predict says what is foretold"),
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


def test_advice_says_how_many_are_rejected_and_calls_no_target_met_for_it() -> None:
    targets = parse_targets("latency_p99=1000s")
    deadlines = np.where(np.arange(len(TRACE)) % 2, 0.6, np.nan)
    found = candidates(
        replace(TRACE, deadline_s=deadlines), SITES, ["fcfs", "sjf"], "oracle",
        SchedulerSettings(), targets, processes=1,
    )  # fmt: skip
    best = found[0].run.measures.rejected
    said = " ".join(advice(found, targets))
    assert f"{best} of 80 requests were rejected under the best" in said
    assert "reaches" not in said


def test_advice_compares_nothing_with_a_policy_that_answers_nobody() -> None:
    some = tried(policies=("fcfs",))[0]
    best = replace(some, tuning=Tuning("sjf"))
    nobody = replace(some.run.measures, rejected=80, latency_s=Distribution())
    fcfs = replace(some, tuning=Tuning("fcfs"), run=replace(some.run, measures=nobody))
    said = advice([best, fcfs], parse_targets("wait_p99=1000s"))
    assert "It rejects 0 of 80 requests, fcfs 80." in said
    assert not any("times the mean" in line for line in said)


def test_advice_says_how_many_at_once_to_whom_it_has_to_be_told() -> None:
    targets = parse_targets("wait_p99=1000s")
    best = replace(tried()[0], tuning=Tuning("trail", slots=3))
    asked_for = replace(best, tuning=Tuning("trail"))
    says = "with 3 requests at once on each engine: --max-concurrency 3 after --backend"
    assert any(line.startswith(says) for line in advice([best], targets))
    assert any(line.startswith(says) for line in advice([asked_for], targets, slots=3))
    assert not any("at once" in line for line in advice([asked_for], targets))


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


def test_a_plan_never_has_fewer_engines_than_stay_on() -> None:
    three = Scaling(3, 99, cold_start_s=0.5, idle_s=2.0, backlog_s=0.1)
    found = planned("wait_max=1.5s", scaling=three)
    assert [(one.replicas, one.met) for one in found] == [(3, True), (4, True)]


def test_engines_that_must_start_first_may_never_meet_a_target() -> None:
    slow = Scaling(1, 99, cold_start_s=60.0, idle_s=2.0, backlog_s=0.1)
    with pytest.raises(SimulationError, match="of which some are never started; keep more on"):
        planned("wait_max=2s", scaling=slow)


def test_a_plan_routes_as_it_is_told() -> None:
    (one, *_) = planned("wait_max=9s", routing="round_robin")
    assert one.met
    with pytest.raises(SimulationError, match="no routing 'random'"):
        planned("wait_max=9s", routing="random")


def test_a_plan_that_rejects_says_how_many_and_not_by_how_much_it_missed() -> None:
    hurried = replace(FOUR_AT_ONCE, deadline_s=np.full(5, 0.5))
    with pytest.raises(SimulationError, match="do not meet wait_max=9s either: 5 of 5 requests we"):
        plans(hurried, ENGINE, "fcfs", "oracle", parse_targets("wait_max=9s"), SchedulerSettings())


BEGIN_ALIKE = replace(
    trace(np.arange(5) * 10.0, [2] * 5, prompt_tokens=4096),
    prefix_hashes=[(*range(7), 7 + number) for number in range(5)],
)
"""Of 3.4 s for a prompt all but 0.5 s is for what it shares with the others."""


def planned_for(of: Trace, slo: str, profile: Profile = SMALL) -> list[Plan]:
    site = Site("small", profile)
    return plans(of, site, "fcfs", "oracle", parse_targets(slo), SchedulerSettings())


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
        foresight="oracle",
        targets=parse_targets("wait_max=1.5s,ttft_p50=1s"),
        settings=SchedulerSettings(),
    )
    found = plans_of_each([slow, ENGINE], plan, processes)
    assert list(found) == ["slow", "clock"]
    assert "alone on an idle slow" in str(found["slow"])
    enough = found["clock"]
    assert not isinstance(enough, SimulationError)
    assert [(one.replicas, one.met) for one in enough] == [(1, False), (2, True), (3, True)]
