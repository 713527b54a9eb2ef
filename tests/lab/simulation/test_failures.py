"""Backends that fail: what becomes of what ran and waited there."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from tests.lab.simulation.conftest import CLOCK, trace

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.failures import Failures, Outage, parse_failures
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.predictions import Oracle
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

A, B = Site("a", CLOCK), Site("b", CLOCK)


def run(
    of: Trace, sites: list[Site], *failures: tuple[str, Outage], routing: str = "shared"
) -> Outcome:
    cluster = Cluster(routing, failures=Failures(failures))
    return simulate(of, sites, SchedulerSettings("fcfs"), Oracle(of), cluster=cluster)


def test_an_answer_goes_on_from_its_tokens_when_its_backend_is_back() -> None:
    outcome = run(trace([0.0], [100]), [A], ("a", Outage(0.4, 2.0)))
    # The iteration that computes the prompt and the 40 tokens anew gives one more, as any.
    assert outcome.ended_s[0] == pytest.approx(0.4 + 2.0 + 0.6)
    assert outcome.first_token_s[0] == pytest.approx(0.01)
    assert outcome.failovers.tolist() == [1]
    assert outcome.preemptions.tolist() == [0]


def test_an_answer_goes_on_at_another_backend_at_once() -> None:
    of = trace([0.0, 0.0], [100, 20])
    outcome = run(of, [A, B], ("a", Outage(0.4, 99.0)))
    assert outcome.backend.tolist() == [1, 1]
    assert outcome.ended_s[0] == pytest.approx(1.0)


def test_what_was_interrupted_keeps_its_place_in_the_queue() -> None:
    of = trace([0.0, 0.1], [100, 10])
    outcome = run(of, [A], ("a", Outage(0.4, 1.0)))
    assert outcome.ended_s.tolist() == pytest.approx([2.0, 2.1])


@pytest.mark.parametrize("routing", ["round_robin", "least_work"])
def test_who_waits_at_a_site_of_its_own_is_routed_anew(routing: str) -> None:
    of = trace([0.0, 0.0, 0.1, 0.1], [100] * 4)
    outcome = run(of, [A, B], ("a", Outage(0.5, 99.0)), routing=routing)
    assert outcome.backend.tolist() == [1] * 4
    assert sorted(outcome.ended_s) == pytest.approx([1.0, 1.5, 2.5, 3.5])
    assert outcome.failovers.sum() == 1, "only what ran lost anything"


@pytest.mark.parametrize("routing", ["shared", "least_requests"])
def test_while_all_are_down_requests_wait(routing: str) -> None:
    both = (("a", Outage(0.0, 5.0)), ("b", Outage(0.5, 1.5)))
    outcome = run(trace([1.0, 1.0], [10, 10]), [A, B], *both, routing=routing)
    assert outcome.ended_s.tolist() == pytest.approx([2.1, 2.2])


def test_outages_that_overlap_are_one() -> None:
    outcome = run(trace([0.0], [100]), [A], ("a", Outage(0.5, 3.0)), ("a", Outage(1.0, 1.0)))
    assert outcome.ended_s[0] == pytest.approx(4.0)
    assert outcome.on_spans == [(0, 0.0, 0.5), (0, 3.5, outcome.ended_s[0])]


def test_random_outages_have_the_means_asked_for_and_their_seed() -> None:
    failures = Failures(mtbf_s=100.0, repair_s=20.0)

    def drawn(seed: int) -> list[Outage]:
        return list(islice(failures.outages(["a"], seed)[0], 4000))

    found = drawn(1)
    ends_s = np.array([0.0, *(outage.at_s + outage.for_s for outage in found)])
    up_s = np.array([outage.at_s for outage in found]) - ends_s[:-1]
    assert up_s.min() > 0.0
    assert up_s.mean() == pytest.approx(100.0, rel=0.05)
    assert np.mean([outage.for_s for outage in found]) == pytest.approx(20.0, rel=0.05)
    assert found == drawn(1) != drawn(2)


def test_backends_that_fail_faster_than_they_compute_are_an_error() -> None:
    of = trace([0.0], [10], prompt_tokens=4096 * 1000)
    cluster = Cluster(failures=Failures(mtbf_s=0.01, repair_s=0.01))
    with pytest.raises(SimulationError, match=r"request 1 lost its backend 1000 times: .*--mtbf"):
        simulate(of, [A], SchedulerSettings("fcfs"), Oracle(of), cluster=cluster)


def test_a_backend_that_is_not_there_is_named() -> None:
    with pytest.raises(SimulationError, match="no backend 'c' to fail; there are a, b"):
        run(trace([0.0], [1]), [A, B], ("c", Outage(1.0, 1.0)))


@pytest.mark.parametrize("text", ["a", "a@5", "@5+1", "a@5+0", "a@-1+1", "a@soon+1", "a@1+inf"])
def test_a_failure_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(SimulationError, match=r"cannot read the failure .* NAME@AT_S"):
        parse_failures([text], 0.0, 0.0)


def test_failures_are_read() -> None:
    assert parse_failures(["llama@2-1@60.5+30"], 0.0, 0.0) == Failures(
        (("llama@2-1", Outage(60.5, 30.0)),)
    )
    with pytest.raises(SimulationError, match="random failures need both"):
        parse_failures([], 3600.0, 0.0)
