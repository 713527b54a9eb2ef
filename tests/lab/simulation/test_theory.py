"""What queueing theory says of one server, and that the simulator says the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import CLOCK, trace

from headway.core.estimate import SizeEstimate
from headway.core.settings import PreemptionSettings, SchedulerSettings
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.measures import measures_of
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.predictions import FromHistory, Noisy, Oracle, Predictions
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

TOKEN_S = CLOCK.dense(1)
SITE = Site("one", CLOCK)
FREE = PreemptionSettings(min_run_s=0.0, max_preemptions=10**9)
"""Preemption as theory has it: nobody is protected."""
REQUESTS = 8_000


def traffic(load: float, tokens: np.ndarray, seed: int) -> Trace:
    """Poisson arrivals of requests with so many tokens."""
    rng = np.random.default_rng(seed)
    rate = load / (tokens.mean() * TOKEN_S)
    return trace(np.cumsum(rng.exponential(1.0 / rate, len(tokens))), tokens)


def run(of: Trace, policy: str, predictions: object = None, **settings: object) -> Outcome:
    scheduler = SchedulerSettings(policy=policy, preemption=FREE, **settings)
    return simulate(of, [SITE], scheduler, predictions or FromHistory(of))


def mean_and_error(values: np.ndarray, batches: int = 20) -> tuple[float, float]:
    """The mean, and its standard error by batch means (neighbours are alike)."""
    means = np.array([batch.mean() for batch in np.array_split(values, batches)])
    return float(values.mean()), float(means.std(ddof=1) / np.sqrt(batches))


EXPONENTIAL = np.maximum(1, np.random.default_rng(1).exponential(100, REQUESTS)).astype(int)
FIXED = np.full(REQUESTS, 100)
HEAVY = np.minimum(5000, 20 * (1 + np.random.default_rng(2).pareto(1.5, REQUESTS))).astype(int)


@pytest.mark.parametrize(
    ("tokens", "load"),
    [(EXPONENTIAL, 0.5), (EXPONENTIAL, 0.8), (FIXED, 0.8), (HEAVY, 0.6)],
    ids=["M/M/1 at 0.5", "M/M/1 at 0.8", "M/D/1 at 0.8", "M/G/1 at 0.6"],
)
def test_fcfs_waits_as_pollaczek_and_khinchine_say(tokens: np.ndarray, load: float) -> None:
    of = traffic(load, tokens, seed=3)
    service_s = tokens * TOKEN_S
    rate = len(tokens) / of.span_s
    expected_s = rate * (service_s**2).mean() / (2.0 * (1.0 - rate * service_s.mean()))
    wait_s, error_s = mean_and_error(run(of, "fcfs").wait_s)
    assert abs(wait_s - expected_s) < 3.0 * error_s + 0.01 * expected_s


def erlang_wait_s(servers: int, rate: float, service_s: float) -> float:
    """Mean wait in M/M/c (Erlang 1917)."""
    load = rate * service_s
    term = total = 1.0
    for number in range(1, servers):
        term *= load / number
        total += term
    last = term * load / servers * servers / (servers - load)
    return last / (total + last) * service_s / (servers - load)


@pytest.mark.parametrize(
    "sites",
    [
        [Site("four", CLOCK, slots=4)],
        [Site(f"one {number}", CLOCK) for number in range(4)],
        [Site(f"two {number}", replace(CLOCK, slots=2)) for number in range(2)],
    ],
    ids=["one engine of 4 slots", "4 engines of one", "2 engines of two"],
)
def test_four_slots_wait_as_erlang_says(sites: list[Site]) -> None:
    """However they are spread over engines that share a queue."""
    tokens = np.maximum(1, np.random.default_rng(11).exponential(400, REQUESTS)).astype(int)
    of = traffic(4.0 * 0.8, tokens, seed=12)
    outcome = simulate(of, sites, SchedulerSettings(policy="fcfs"), FromHistory(of))
    wait_s, error_s = mean_and_error(outcome.wait_s)
    expected_s = erlang_wait_s(4, len(tokens) / of.span_s, tokens.mean() * TOKEN_S)
    assert abs(wait_s - expected_s) < 3.0 * error_s + 0.02 * expected_s


def schrage_miller_s(tokens: np.ndarray, rate: float) -> float:
    """Mean response time of SRPT in M/G/1 (Schrage and Miller 1966), for these very sizes."""
    sizes, counts = np.unique(tokens * TOKEN_S, return_counts=True)
    share = counts / counts.sum()
    below = np.cumsum(share * sizes) * rate  # load of requests no longer than each size
    second = np.cumsum(share * sizes**2)
    longer = 1.0 - np.cumsum(share)
    waits = rate * (second + longer * sizes**2) / (2.0 * (1.0 - below) ** 2)
    steps = np.diff(np.concatenate([[0.0], sizes]))
    before = np.concatenate([[0.0], below[:-1]])
    residence = np.cumsum(steps / (1.0 - before))
    return float((share * (waits + residence)).sum())


@pytest.mark.parametrize(
    ("tokens", "load"), [(EXPONENTIAL, 0.7), (HEAVY, 0.8)], ids=["exponential", "heavy tail"]
)
def test_srpt_takes_as_long_as_schrage_and_miller_say(tokens: np.ndarray, load: float) -> None:
    of = traffic(load, tokens, seed=4)
    latency_s, error_s = mean_and_error(run(of, "srpt", Oracle(of)).latency_s)
    expected_s = schrage_miller_s(tokens, len(tokens) / of.span_s)
    assert abs(latency_s - expected_s) < 3.0 * error_s + 0.03 * expected_s


class Known(Predictions):
    """Knows how long answers are in general, and nothing of any single one."""

    def __init__(self, tokens: np.ndarray) -> None:
        self._estimate = SizeEstimate.from_lengths(tokens.tolist())

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        return self._estimate, None

    def finished(self, number: int) -> None:
        """Nothing new."""


def test_nobody_without_foresight_beats_gittins() -> None:
    rng = np.random.default_rng(5)
    tokens = np.where(rng.random(4000) < 0.8, 10, 400)  # most end soon, some go on for long
    of = traffic(0.8, tokens, seed=6)
    means = {
        policy: mean_and_error(run(of, policy, Known(tokens)).latency_s)
        for policy in ("gittins", "fcfs", "mlfq", "srpt", "hrrn")
    }
    best_s, error_s = means.pop("gittins")
    for latency_s, other_error_s in means.values():
        assert best_s < latency_s + 2.0 * max(error_s, other_error_s)
    assert best_s < 0.6 * means["fcfs"][0]


def test_two_tenants_that_always_wait_get_the_same_within_vtcs_bound() -> None:
    """|W1 - W2| <= 2 max(prompt weight * longest prompt, output weight * longest answer)."""
    rng = np.random.default_rng(7)
    count = 400
    tokens = rng.integers(1, 200, count)
    tenants = ["many" if number % 4 else "few" for number in range(count)]
    of = replace(trace(np.zeros(count), tokens), tenants=tenants)
    outcome = run(of, "fcfs", fairness="vtc")
    is_few = np.array([tenant == "few" for tenant in tenants])
    until_s = outcome.ended_s[is_few].max()  # from then on one of them waits no more
    served = {
        few: sum(
            2.0 * tokens[n] + 1.0
            for n in np.flatnonzero(is_few == few)
            if outcome.ended_s[n] <= until_s
        )
        for few in (True, False)
    }
    assert abs(served[True] - served[False]) <= 2.0 * 2.0 * 200


def test_utilisation_is_the_load() -> None:
    of = traffic(0.5, FIXED[:3000], seed=8)
    outcome = run(of, "fcfs")
    assert measures_of(of, outcome, [SITE]).utilisation == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("policy", ["srpt", "gittins"])
@pytest.mark.parametrize("load", [0.95, 1.1])
def test_a_policy_that_preempts_loses_nothing_to_one_that_does_not(policy, load) -> None:
    """On 64 slots one frees soon by itself, and predictions are wrong by a factor of two."""
    site = Site("many", replace(CLOCK, slots=64))
    rng = np.random.default_rng(9)
    tokens = np.maximum(1, rng.exponential(100, 3000)).astype(int)
    of = at_load(
        trace(np.cumsum(rng.exponential(1.0, len(tokens))), tokens),
        capacity_rps(trace(np.zeros(len(tokens)), tokens), [site]),
        load,
    )
    means = [
        simulate(of, [site], SchedulerSettings(policy=name), Noisy(of, 1.0)).latency_s.mean()
        for name in (policy, "sjf")
    ]
    assert means[0] < 1.01 * means[1]
