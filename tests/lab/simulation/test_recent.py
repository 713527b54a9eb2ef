"""The newest traffic of a log, and the state in which it begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import SMALL, trace
from tests.lab.simulation.served_log import records_of

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.predictions import Oracle
from headway.lab.simulation.recent import AsServed, Recent, recent_traffic
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.store.request_log import RequestRecord

SITES = [Site("small", SMALL)]
FCFS = SchedulerSettings(policy="fcfs")


def record(
    name: str, arrival_s: float, queue_s: float, ttft_s: float, total_s: float, policy: str = "sjf"
) -> RequestRecord:
    return RequestRecord(
        id=name,
        arrival_unix_s=1e9 + arrival_s,
        tier="standard",
        backend="small",
        policy=policy,
        prompt_tokens=50,
        cached_tokens=20,
        predicted_tokens=40.0,
        output_tokens=101,
        queue_ms=1000 * queue_s,
        ttft_ms=1000 * ttft_s,
        total_ms=1000 * total_s,
        outcome="finished",
        status=200,
    )


def overloaded(requests: int = 400) -> list[RequestRecord]:
    """Requests that come faster than they are served: more and more wait."""
    rng = np.random.default_rng(3)
    arrival_s = np.cumsum(rng.exponential(0.08, requests))
    lengths = np.exp(rng.normal(3.4, 1.0, requests)).astype(int) + 1
    given = trace(arrival_s - arrival_s[0], lengths, prompt_tokens=8)
    return records_of(given, simulate(given, SITES, FCFS, Oracle(given)))


def test_those_that_waited_or_ran_at_its_beginning_are_there() -> None:
    recent = recent_traffic(
        [
            record("gone", 0.0, 0.0, 1.0, 5.0),
            record("ran", 1.0, 1.0, 4.0, 14.0),
            record("waited", 2.0, 20.0, 21.0, 30.0),
            record("came", 10.0, 5.0, 6.0, 20.0),
            record("last", 110.0, 0.0, 1.0, 2.0),
        ],
        [],
        window_s=100.0,
        name="log",
    )
    assert recent.trace.prompt_ids == ["ran", "waited", "came", "last"]
    assert recent.trace.arrival_s.tolist() == [0.0, 0.0, 0.0, 100.0]
    assert recent.trace.waited_s.tolist() == [9.0, 8.0, 0.0, 0.0]
    assert recent.trace.produced_tokens.tolist() == [50, -1, -1, -1]
    assert recent.scored.tolist() == [False, True, True, True]
    assert recent.latency_s.tolist() == [14.0, 30.0, 20.0, 2.0]
    assert recent.run_s.tolist() == [13.0, 10.0, 15.0, 2.0]
    assert recent.trace.prompt_tokens.tolist() == [30] * 4, "cached tokens cost nothing"


def test_without_anybody_there_it_begins_with_the_first_that_came() -> None:
    recent = recent_traffic(
        [record("gone", 0.0, 0.0, 1.0, 5.0), record("one", 50.0, 0.0, 1.0, 2.0)], [], 10.0, "log"
    )
    assert recent.trace.prompt_ids == ["one"]
    assert recent.trace.waited_s.tolist() == [0.0]


def test_one_that_still_waits_is_there_however_long_ago_it_came() -> None:
    waits = RequestRecord(
        id="waits",
        arrival_unix_s=1e9 - 500.0,
        tier="batch",
        prompt_tokens=10,
        predicted_tokens=30.0,
        output_tokens=30,
        outcome="finished",
        status=200,
    )
    recent = recent_traffic([record("one", 50.0, 0.0, 1.0, 2.0)], [waits], 10.0, "log")
    assert recent.trace.prompt_ids == ["waits", "one"]
    assert recent.trace.waited_s.tolist() == [540.0, 0.0]
    assert np.isnan(recent.latency_s[0])


def test_it_knows_which_policies_were_in_use() -> None:
    recent = recent_traffic(
        [
            record("a", 0.0, 0.0, 1.0, 5.0, "fcfs"),
            record("b", 60.0, 0.0, 1.0, 2.0, "boost"),
            record("c", 70.0, 0.0, 1.0, 5.0, "boost"),
            record("d", 72.0, 0.0, 1.0, 20.0, "sjf"),
        ],
        [],
        50.0,
        "log",
    )
    assert recent.policies == ((0.0, "fcfs"), (2.0, "boost"), (32.0, "sjf"))


def replayed(recent: Recent) -> np.ndarray:
    outcome = simulate(
        recent.trace,
        SITES,
        FCFS,
        Oracle(recent.trace),
        steering=AsServed(recent.policies),
    )
    return outcome.latency_s


def test_a_replay_from_the_middle_goes_on_as_it_was() -> None:
    """Under the policy that was in use, each request ends when it did, backlog and all."""
    recent = recent_traffic(overloaded(), [], window_s=10.0, name="log")
    assert (recent.trace.waited_s > 0.0).sum() > 20
    off_s = np.abs(replayed(recent) - recent.latency_s)
    assert off_s.max() < 0.1 * recent.latency_s.mean()
    empty = recent.trace.rows(np.flatnonzero(recent.trace.waited_s == 0.0))
    from_empty_s = simulate(empty, SITES, FCFS, Oracle(empty)).latency_s
    assert from_empty_s.mean() < 0.8 * recent.latency_s[recent.trace.waited_s == 0.0].mean()


@pytest.mark.parametrize(
    ("produced", "why"),
    [([-1, 0], "does not run from the beginning"), ([9, -1], "are its whole answer")],
)
def test_those_that_run_come_first_and_have_not_ended(produced: list[int], why: str) -> None:
    with pytest.raises(SimulationError, match=why):
        replace(trace([0.0, 0.0], [9, 9]), produced_tokens=np.array(produced))
