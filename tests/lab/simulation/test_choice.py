"""The policy that recent traffic would want, and when the one in use stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import SMALL, trace
from tests.lab.simulation.served_log import records_of

from headway.core.settings import BoostSettings, SchedulerSettings
from headway.lab.simulation.choice import LEAST_REQUESTS, Choice, choose
from headway.lab.simulation.predictions import Oracle
from headway.lab.simulation.recent import Recent, recent_traffic
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import NOTHING, parse_objective

SITES = [Site("small", SMALL)]
FCFS = SchedulerSettings(policy="fcfs")


def logged(requests: int = 400, gap_s: float = 0.12, spread: float = 1.3) -> Recent:
    """Traffic of a log, at about the engine's capacity; no `spread`: all answers are alike."""
    rng = np.random.default_rng(2)
    arrival_s = np.cumsum(rng.exponential(gap_s, requests))
    lengths = np.exp(rng.normal(3.4, spread, requests)).astype(int) + 1
    given = trace(arrival_s - arrival_s[0], lengths, prompt_tokens=8)
    records = records_of(given, simulate(given, SITES, FCFS, Oracle(given)))
    return recent_traffic(records, [], 1e6, "log")


def chosen(given: Recent, current: str = "fcfs", tail: float = 3.0, slo: str = "") -> Choice:
    settings = replace(FCFS, boost=BoostSettings(tail))
    return choose(given, SITES, settings, current, parse_objective(slo) if slo else NOTHING)


def test_it_is_the_one_with_the_least_mean_within_the_promise() -> None:
    choice = chosen(logged())
    within = [one for one in choice.replayed if one.keeps_tail]
    assert choice.policy == min(within, key=lambda one: one.mean_s).policy != "fcfs"
    assert "instead of" in choice.reason and "400 requests" in choice.reason


def test_none_is_chosen_that_breaks_the_promise_or_is_worse_than_fcfs() -> None:
    choice = chosen(logged(gap_s=0.2, spread=0.9), tail=1.0)
    (now,) = [one for one in choice.replayed if one.policy == choice.policy]
    (fcfs,) = [one for one in choice.replayed if one.policy == "fcfs"]
    assert now.p99_s <= fcfs.p99_s and now.mean_s <= fcfs.mean_s


def test_one_in_use_that_breaks_the_promise_is_replaced() -> None:
    strict = chosen(logged(gap_s=0.2, spread=0.9), current="sjf", tail=1.0)
    (sjf,) = [one for one in strict.replayed if one.policy == "sjf"]
    assert not sjf.keeps_tail and strict.policy != "sjf" and strict.urgent


def test_a_gain_that_is_noise_changes_nothing() -> None:
    best = chosen(logged()).policy
    assert chosen(logged(), current=best).policy == best
    idle = chosen(logged(gap_s=5.0))
    assert idle.policy == "fcfs" and idle.reason.startswith("stays")


def test_answers_that_are_all_alike_change_nothing() -> None:
    for current in ("fcfs", "hrrn"):
        assert chosen(logged(spread=0.0), current).policy == current


def test_few_requests_say_too_little() -> None:
    choice = chosen(logged(10))
    assert (choice.policy, choice.replayed) == ("fcfs", [])
    assert choice.reason == f"stays: 10 requests say too little; {LEAST_REQUESTS} are needed"


@pytest.mark.parametrize("slo", ["ttft_p99=1ms", "ttft_mean=1ms,latency_p50=1ms"])
def test_where_nobody_meets_the_targets_the_policy_stays(slo: str) -> None:
    choice = chosen(logged(), slo=slo)
    assert choice.policy == "fcfs"
    assert all(one.missed > 0.0 for one in choice.replayed)
    assert choice.reason.startswith("stays: no policy meets the SLO; ")


def test_it_shows_how_well_the_replay_repeats_what_was_served() -> None:
    evidence = chosen(logged()).evidence
    assert evidence is not None and evidence.error < 0.1
    slower = [Site("small", SMALL.slower(1.2))]
    corrected = choose(logged(), slower, FCFS, "fcfs").evidence
    assert corrected is not None
    assert corrected.replayed_mean_s == pytest.approx(corrected.served_mean_s, rel=0.1)


def test_a_replay_that_is_far_off_decides_nothing_and_says_so() -> None:
    recent = logged()
    paused = replace(recent, latency_s=recent.latency_s + np.where(np.arange(400) < 8, 600.0, 0.0))
    choice = chosen(paused)
    assert choice.policy == "fcfs" and not choice.replayed and choice.evidence is not None
    assert "too far off to decide" in choice.reason
