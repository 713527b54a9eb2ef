"""What `headway advise` recommends: what meets the SLO, and never what is worse than now."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.lab.simulation.test_advice import tried

from headway.cli.configuration import read_configuration
from headway.lab.simulation.advice import Candidate, Tuning
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.measures import Distribution
from headway.lab.simulation.plans import Plan
from headway.lab.simulation.recommendation import Recommendation, command
from headway.lab.simulation.slo import parse_objective

ONE = tried(policies=("fcfs",))[0]
SLOTS = 4


def made(tuning: Tuning, mean_s: float, p99_s: float, rejected: int = 0) -> Candidate:
    latency_s = Distribution(mean=mean_s, p99=p99_s)
    measures = replace(ONE.run.measures, latency_s=latency_s, rejected=rejected)
    return Candidate(tuning, replace(ONE.run, measures=measures))


def four_engines(tuning: Tuning) -> list[Plan]:
    return [Plan(1, ONE.run, False), Plan(4, ONE.run, True), Plan(5, ONE.run, True)]


def no_engines(tuning: Tuning) -> list[Plan]:
    raise SimulationError("8 engines do not meet it either")


def recommended(
    found: Sequence[Candidate], slo: str, plans=four_engines, now: str = "fcfs"
) -> Recommendation:
    objective = parse_objective(slo)
    ranked = sorted(found, key=lambda one: one.worth(objective))
    return Recommendation.of(ranked, objective, SLOTS, plans, now)


FCFS = made(Tuning("fcfs"), 4.0, 90.0)
WORSE_MEAN = made(Tuning("sjf"), 6.2, 70.0)
BETTER = made(Tuning("srpt"), 3.0, 80.0)


def test_what_meets_the_slo_is_recommended_without_a_word_before_the_table() -> None:
    found = recommended([FCFS, WORSE_MEAN, BETTER], "latency_p99=85s")
    assert found.candidate is BETTER and found.met
    assert found.first() == []
    assert found.last(embedded=True)[0] == "Use: headway serve --set policy=srpt"


def test_where_nothing_meets_it_that_is_said_first_and_then_what_would() -> None:
    found = recommended([FCFS, WORSE_MEAN, BETTER], "latency_p99=1s")
    said = found.first()
    assert said[0] == (
        "No setting of these engines meets latency_p99=1s: the nearest reaches 70.0 s."
    )
    assert said[1].startswith("It takes 4 engines like this one, with srpt.")


def test_what_is_worse_than_now_is_never_recommended_however_near_it_comes() -> None:
    assert recommended([FCFS, WORSE_MEAN, BETTER], "latency_p99=1s").candidate is BETTER
    found = recommended([FCFS, WORSE_MEAN], "latency_p99=1s")
    assert found.candidate is FCFS
    assert found.last(embedded=True)[1] == "Nothing that was tried is better than fcfs here."


def test_more_slots_are_cheaper_than_more_engines() -> None:
    wide = made(Tuning("srpt", slots=8), 2.0, 0.9)
    found = recommended([FCFS, BETTER, wide], "latency_p99=1s", plans=no_engines)
    assert found.candidate is wide and found.met
    assert found.first()[0].endswith("the nearest reaches 80.0 s.")
    assert found.first()[1].startswith("It takes 8 requests at once on each engine")
    assert "--slots 8" in found.last(embedded=True)[0]


def test_where_no_number_of_engines_would_do_it_says_why() -> None:
    said = recommended([FCFS, BETTER], "latency_p99=1s", plans=no_engines).first()
    assert said[1].startswith("And 8 engines do not meet it either. Until then")


def test_the_gain_is_over_what_runs_now() -> None:
    (_, gain) = recommended([FCFS, BETTER], "latency_p99=85s").last(embedded=True)
    assert gain.startswith("It has 0.75 times the mean latency of fcfs (3.00 s, not 4.00 s)")


def test_what_runs_now_may_be_another_policy() -> None:
    (_, gain) = recommended([FCFS, BETTER, WORSE_MEAN], "latency_p99=85s", now="sjf").last(
        embedded=True
    )
    assert gain.startswith("It has 0.48 times the mean latency of sjf (3.00 s, not 6.20 s)")
    stays = recommended([FCFS, BETTER], "latency_p99=85s", now="srpt").last(embedded=True)
    assert stays[1] == "Nothing that was tried is better than srpt here."


def test_rejections_are_counted_and_nothing_is_compared_with_who_answers_nobody() -> None:
    nobody = made(Tuning("fcfs"), 0.0, 0.0, rejected=ONE.run.measures.requests)
    said = recommended([nobody, BETTER], "latency_p99=85s").last(embedded=True)
    assert any(line.startswith("It rejects 0 of 80 requests, fcfs 80.") for line in said)
    assert not any("times the mean" in line for line in said)


def test_statistics_are_not_met_by_rejecting_requests() -> None:
    some = made(Tuning("srpt"), 3.0, 0.5, rejected=3)
    said = recommended([made(Tuning("fcfs"), 4.0, 0.6, rejected=5), some], "latency_p99=1s").first()
    assert "3 of 80 requests were rejected with the best" in said[0]


@pytest.mark.parametrize(
    "tuning",
    [
        Tuning("fcfs"),
        Tuning("sjf", max_wait_s=7.5, slots=2),
        Tuning("trail", trail_c=1.2, tier_weights=(4.0, 2.0, 1.0)),
        Tuning("mlfq", quantum_s=0.25, max_wait_s=30.0, slots=3),
    ],
)
def test_the_command_has_every_setting_of_the_row(tuning: Tuning) -> None:
    words = shlex.split(command(tuning, embedded=True))
    assigned = [word for before, word in itertools.pairwise(words) if before == "--set"]
    assert dict(one.split("=") for one in assigned) == tuning.options
    read_configuration({}, assigned, None)
    assert ("--slots" in words) == (tuning.slots is not None)
    behind = command(tuning, embedded=False)
    assert behind.startswith("headway serve --backend URL")
    assert ("--max-concurrency" in behind) == (tuning.slots is not None)


def test_slots_that_were_asked_for_are_in_the_command() -> None:
    assert "--max-concurrency 3" in command(Tuning("srpt"), embedded=False, slots=3)
    assert "--slots 2" in command(Tuning("srpt", slots=2), embedded=True, slots=3)
