"""What a comparison found, as numbers in JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from math import sqrt
from statistics import stdev
from typing import Any

import pytest
from tests.lab.simulation.conftest import SMALL

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.comparison import Contender, Scenario, compare
from headway.lab.simulation.generated import Recipe
from headway.lab.simulation.measures import Slo
from headway.lab.simulation.result import INTERVALS, SimulationResult
from headway.lab.simulation.site import Site

RECIPE = Recipe("poisson:40", "fixed:10", "exponential:60", 40)
SITES = [Site("a", SMALL), Site("b", SMALL)]


def compared(seeds: int, policies: Sequence[str], routings: Sequence[str] = ()) -> SimulationResult:
    traces = [RECIPE.make(seed) for seed in range(seeds)]
    scenario = Scenario(traces, SITES, SchedulerSettings(), Slo())
    contenders = {policy: Contender.parse(policy, "history") for policy in policies}
    if routings:
        contenders = {
            f"{policy}, {routing}": Contender.parse(policy, "history", routing)
            for routing in routings
            for policy in policies
        }
    return SimulationResult(compare(scenario, contenders, processes=1), {})


def rows_of(result: SimulationResult) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(result.to_csv())))


@pytest.mark.parametrize(("seeds", "student_t"), [(2, 12.706), (11, 2.228), (33, 2.037)])
def test_an_interval_is_students_of_as_many_seeds(seeds: int, student_t: float) -> None:
    result = compared(seeds, ["fcfs"])
    means_s = [run.measures.latency_s.mean for run in result.runs["fcfs"]]
    expected_s = student_t * stdev(means_s) / sqrt(seeds)
    assert result.interval("fcfs", "latency_s", "mean") == pytest.approx(expected_s, rel=3e-4)


def test_there_are_intervals_of_the_tail_the_first_token_and_the_throughput() -> None:
    result = compared(3, ["fcfs"])
    found: Any = result.to_json()["policies"]
    for name, path in INTERVALS.items():
        assert found["fcfs"][name] == result.interval("fcfs", *path) != 0.0
        assert {float(row[name]) for row in rows_of(result)} == {found["fcfs"][name]}
    assert set(INTERVALS) == {
        "latency_mean_interval_s",
        "latency_p99_interval_s",
        "ttft_mean_interval_s",
        "throughput_interval_tokens_per_s",
    }


def test_one_seed_has_no_interval() -> None:
    result = compared(1, ["fcfs"])
    found: Any = result.to_json()["policies"]
    assert found["fcfs"]["latency_p99_interval_s"] is None
    assert rows_of(result)[0]["latency_p99_interval_s"] == ""


def test_seeds_that_change_nothing_have_no_interval() -> None:
    scenario = Scenario([RECIPE.make()] * 3, SITES[:1], SchedulerSettings(), Slo())
    contenders = {name: Contender.parse(name, "noise:2") for name in ("fcfs", "sjf")}
    found = SimulationResult(compare(scenario, contenders, processes=1), {})
    assert found.interval("fcfs", "latency_s", "mean") is None
    assert found.interval("sjf", "latency_s", "mean")


def test_the_oracle_gain_is_that_of_a_routing() -> None:
    policies = ["fcfs", "sjf+oracle", "srpt+oracle"]
    both = compared(1, policies, ["shared", "round_robin"])
    for routing in ("shared", "round_robin"):
        alone = compared(1, policies, [routing])
        for policy in policies:
            label = f"{policy}, {routing}"
            assert both.gain(label) == alone.gain(label) is not None
    assert both.gain("fcfs, shared") == 0.0
    assert both.gain("srpt+oracle, round_robin") == 1.0
    assert both.gain("sjf+oracle, shared") != both.gain("sjf+oracle, round_robin")


def test_there_is_no_gain_without_an_oracle_under_the_same_routing() -> None:
    result = compared(1, ["fcfs", "srpt+oracle"], ["shared", "round_robin"])
    runs = {name: runs for name, runs in result.runs.items() if name != "srpt+oracle, shared"}
    assert SimulationResult(runs, {}).gain("fcfs, shared") is None


def test_the_oracle_gain_of_each_run_is_in_the_csv() -> None:
    result = compared(2, ["fcfs", "srpt", "srpt+oracle"])
    rows = [row for row in rows_of(result) if row["policy"] == "srpt"]
    gains = [float(row["oracle_gain_captured"]) for row in rows]
    assert gains == [result.gain("srpt", seed) for seed in (0, 1)]
    assert gains[0] != gains[1]


def test_what_was_found_at_other_loads_is_in_the_json() -> None:
    result, other = compared(1, ["fcfs"]), compared(1, ["fcfs", "srpt"])
    assert result.to_json({0.5: other})["loads"] == {"0.5": other.to_json()["policies"]}
    assert "loads" not in result.to_json()
