"""Whatever fails, scales and is routed anywhere: nobody is lost, and no token is made twice."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lab.simulation.conftest import CLOCK, trace

from headway.core.fleet.scaling import Scaling
from headway.core.policies import POLICIES
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.failures import Failures, Outage
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.predictions import Noisy
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

TOKEN_S = CLOCK.dense(1)
SITES = [Site("a", CLOCK), Site("b", replace(CLOCK, slots=2)), Site("c", CLOCK)]
ROUTINGS = (
    "shared", "round_robin", "least_requests", "least_work", "prefix", "hexgen:0.5",
)  # fmt: skip

outages = st.lists(
    st.tuples(st.sampled_from("abc"), st.builds(Outage, st.floats(0, 4), st.floats(0.01, 2))),
    max_size=5,
)
failures = st.builds(
    lambda scripted, mtbf_s: Failures(tuple(scripted), mtbf_s, mtbf_s / 4),
    outages,
    st.sampled_from([0.0, 1.0]),
)
scaling = st.builds(
    Scaling,
    least=st.integers(0, 3),
    most=st.just(3),
    cold_start_s=st.sampled_from([0.0, 0.7]),
    idle_s=st.sampled_from([0.05, 1.0]),
    backlog_s=st.sampled_from([0.01, 0.5]),
)
clusters = st.builds(
    Cluster, st.sampled_from(ROUTINGS), st.none() | scaling, failures, st.integers(0, 9)
)
rows = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 60)), min_size=1, max_size=25)


def trace_of(found: list[tuple[float, int]]) -> Trace:
    found = sorted(found)
    return trace([row[0] for row in found], [row[1] for row in found])


def spans_of(outcome: Outcome, number: int) -> list[tuple[float, float]]:
    return sorted(span[2:] for span in outcome.spans if span[0] == number)


@settings(max_examples=150, deadline=None)
@given(rows, st.sampled_from(list(POLICIES)), clusters)
def test_every_request_ends_once_and_in_full(
    found: list[tuple[float, int]], policy: str, cluster: Cluster
) -> None:
    of = trace_of(found)
    outcome = simulate(of, SITES, SchedulerSettings(policy), Noisy(of, 0.5), cluster=cluster)
    assert outcome.finished.all()
    for number, tokens in enumerate(of.output_tokens.tolist()):
        spans = spans_of(outcome, number)
        served_s = sum(end - begin for begin, end in spans)
        # A stretch computes the prompt anew at most once, and begins and ends amid an iteration.
        assert abs(served_s / TOKEN_S - tokens) <= 2.0 * len(spans) + 1e-6
        assert len(spans) == 1 + outcome.preemptions[number] + outcome.failovers[number]
        assert all(first[1] <= then[0] for first, then in pairwise(spans))
        assert spans[-1][1] == outcome.ended_s[number]


@settings(max_examples=150, deadline=None)
@given(rows, st.sampled_from(["fcfs", "srpt"]), clusters)
def test_nothing_runs_beyond_the_slots_of_a_backend_or_where_none_is_on(
    found: list[tuple[float, int]], policy: str, cluster: Cluster
) -> None:
    of = trace_of(found)
    outcome = simulate(of, SITES, SchedulerSettings(policy), Noisy(of, 0.5), cluster=cluster)
    for place, site in enumerate(SITES):
        here = [span[2:] for span in outcome.spans if span[1] == place]
        on = [span[1:] for span in outcome.on_spans if span[0] == place]
        for begin, end in here:
            running = sum(from_s <= begin < to_s for from_s, to_s in here)
            assert running <= site.profile.slots
            assert any(from_s <= begin and end <= to_s for from_s, to_s in on)
        assert all(first[1] <= then[0] for first, then in pairwise(on))


@settings(max_examples=50, deadline=None)
@given(rows, clusters)
def test_a_run_can_be_repeated(found: list[tuple[float, int]], cluster: Cluster) -> None:
    of = trace_of(found)
    first, second = (
        simulate(of, SITES, SchedulerSettings("srpt"), Noisy(of, 0.5), cluster=cluster)
        for _ in range(2)
    )
    assert first.spans == second.spans
    assert first.on_spans == second.on_spans


@settings(max_examples=50, deadline=None)
@given(rows, st.sampled_from(ROUTINGS), st.integers(0, 3))
def test_without_failures_and_scaling_all_are_always_on(
    found: list[tuple[float, int]], routing: str, seed: int
) -> None:
    of = trace_of(found)
    cluster = Cluster(routing, seed=seed)
    outcome = simulate(of, SITES, SchedulerSettings("fcfs"), Noisy(of, 0.5), cluster=cluster)
    last_s = float(np.max(outcome.ended_s))
    assert outcome.on_spans == [(place, 0.0, last_s) for place in range(len(SITES))]
