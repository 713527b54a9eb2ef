"""What was asked for, and whether a run achieved it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import CLOCK, trace

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.measures import Distribution, Slo, measures_of
from headway.lab.simulation.predictions import Oracle
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import parse_objective, parse_slo

ONE = [Site("one", CLOCK)]
TWO_AT_ONCE = trace([0.0, 0.0], [100, 100])
"""Each takes 1 s."""
OUTCOME = simulate(TWO_AT_ONCE, ONE, SchedulerSettings(policy="fcfs"), Oracle(TWO_AT_ONCE))
MEASURES = measures_of(TWO_AT_ONCE, OUTCOME, ONE)
HURRIED = replace(TWO_AT_ONCE, deadline_s=np.array([np.nan, 1.5]))
HURRIED_OUTCOME = simulate(HURRIED, ONE, SchedulerSettings(policy="fcfs"), Oracle(HURRIED))


def test_a_target_is_met_by_its_statistic() -> None:
    assert parse_objective("latency_mean=1.5s,wait_max=1s").met(MEASURES)
    asked = parse_objective("latency_mean=1s,wait_max=1s")
    assert not asked.met(MEASURES)
    assert asked.missed(MEASURES) == pytest.approx(0.5)
    assert asked.shortfall(MEASURES) == "latency_mean=1s was missed by 50%"


def test_nobody_may_be_rejected_to_meet_a_statistic() -> None:
    asked = parse_objective("latency_max=1.1s")
    measures = measures_of(HURRIED, HURRIED_OUTCOME, ONE)
    assert asked.missed(measures) == 0.0
    assert not asked.met(measures)
    assert asked.shortfall(measures) == "1 of 2 requests were rejected"


def test_goodput_is_the_share_of_requests_within_all_limits() -> None:
    asked = parse_objective("latency=1.5s,goodput=50%")
    measures = measures_of(TWO_AT_ONCE, OUTCOME, ONE, asked.request)
    assert measures.goodput == 0.5
    assert asked.met(measures)
    more = parse_objective("latency=1.5s,goodput=0.8")
    assert not more.met(measures)
    assert more.shortfall(measures) == "goodput=80% was missed by 38%"


def test_goodput_counts_who_is_rejected() -> None:
    asked = parse_objective("latency=1.5s,goodput=50%")
    assert asked.met(measures_of(HURRIED, HURRIED_OUTCOME, ONE, asked.request))


def test_p95_is_a_statistic() -> None:
    values = np.arange(1.0, 102.0)
    assert Distribution.of(values).p95 == 96.0
    (target,) = parse_slo("ttft_p95=1s").targets
    assert str(target) == "ttft_p95=1s"


def test_one_grammar_says_all() -> None:
    asked = parse_slo("ttft=1s, tpot=50ms, goodput=95%, wait_p95=2min, p99=3")
    assert asked.request == Slo(ttft_s=1.0, tpot_s=0.05)
    assert str(asked) == "ttft=1s, tpot=0.05s, wait_p95=120s, latency_p99=3s, goodput=95%"
    assert parse_slo("ttft=1s").targets == ()
    assert parse_slo("") == parse_slo(" , ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("joy=1s", "no SLO 'joy'; write a statistic of all requests, as ttft_p95=1s, or limits"),
        ("ttft_p42=1s", "no SLO 'ttft_p42'"),
        ("wait=1s", "no SLO 'wait'"),
        ("ttft_p99", "'' is no time; write 50ms"),
        ("ttft=1s,goodput=95", "'95' is no share of requests; write 95% or 0.95"),
        ("ttft=1s,goodput=0", "'0' is no share"),
        ("goodput=90%", "within their limits; write those, too, as --slo ttft=1s,goodput=90%"),
        ("ttft=1s,ttft=2s", "says 'ttft' twice"),
        ("", "say what is to be achieved: write a statistic"),
        ("ttft=1s", "say how many requests are to achieve ttft=1s: --slo ttft=1s,goodput=95%"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, says: str) -> None:
    with pytest.raises(SimulationError) as caught:
        parse_objective(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("slo", "value", "text"),
    [
        ("p99=20s", 20.04, "20.04 s"),
        ("p99=20s", 20.0, "20.0 s"),
        ("p99=20s", 19.96, "20.0 s"),
        ("p99=20s", 31.26, "31.3 s"),
        ("latency=1s,goodput=95%", 0.946, "94.6%"),
        ("latency=1s,goodput=95%", 0.954, "95%"),
        ("latency=1s,goodput=99.9%", 0.9985, "99.85%"),
        ("latency=1s,goodput=99.9%", 0.9995, "100%"),
    ],
)
def test_what_is_reached_is_never_rounded_across_the_limit(
    slo: str, value: float, text: str
) -> None:
    (target,) = parse_objective(slo).targets
    achieved = replace(MEASURES, latency_s=Distribution(p99=value), goodput=value)
    assert target.reached(achieved) == text


def test_what_is_missed_is_never_missed_by_nothing() -> None:
    asked = parse_objective("p99=20s")
    missed = [replace(MEASURES, latency_s=Distribution(p99=p99_s)) for p99_s in (20.01, 25.0)]
    assert [asked.shortfall(one) for one in missed] == [
        "latency_p99=20s was missed by less than 1%",
        "latency_p99=20s was missed by 25%",
    ]
