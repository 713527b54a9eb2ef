"""Whole runs on virtual time: branches, deadlines, what is predicted of them, and their numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import CLOCK, trace

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.measures import measures_of
from headway.lab.simulation.predictions import FromHistory, Oracle
from headway.lab.simulation.requests import TraceRequests
from headway.lab.simulation.runs import KnownRuns
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace
from headway.lab.simulation.trace_file import write_trace

ONE = Site("one", CLOCK)
WIDE = Site("wide", CLOCK, 4)


def diamond() -> Trace:
    """A step, two side by side, and one that waits for both."""
    return replace(
        trace([0.0] * 4, [100, 50, 200, 100]),
        programs=["run"] * 4,
        steps=["begin", "short", "long", "join"],
        after=np.array([-1, 0, 0, 1]),
        joins=[(), (), (), (2,)],
        gap_s=np.array([0.0, 0.0, 0.0, 0.5]),
    )


def test_where_branches_meet_the_last_one_counts() -> None:
    of = diamond()
    outcome = simulate(of, [WIDE], SchedulerSettings(policy="fcfs"), FromHistory(of))
    assert outcome.released_s[1:3].tolist() == [outcome.ended_s[0]] * 2
    assert outcome.released_s[3] == pytest.approx(outcome.ended_s[2] + 0.5)


def test_a_request_names_the_steps_that_it_waited_for() -> None:
    of = diamond()
    predictions = Oracle(of)
    runs = predictions.runs(of, ONE.backend.cost)
    requests = TraceRequests(of, predictions, runs, [""] * 4)
    assert [requests.request(n, 0.0).parents for n in (0, 1, 3)] == [
        (),
        ("begin",),
        ("short", "long"),
    ]


def test_what_comes_is_the_longest_path_to_the_end() -> None:
    of = diamond()
    cost = ONE.backend.cost
    requests = TraceRequests(of, Oracle(of), KnownRuns(of, cost), [""] * 4)
    means = [requests.request(number, 0.0).to_come.mean for number in range(4)]
    token_ms = 1000.0 * cost.decode_s_per_token
    assert means == pytest.approx([300 * token_ms, 100 * token_ms, 100 * token_ms, 1], rel=0.05)


def test_a_part_of_a_trace_keeps_its_branches() -> None:
    part = diamond().rows(np.array([0, 1, 3]))
    assert part.after.tolist() == [-1, 0, 1]
    assert part.joins == [(), (), ()]


@pytest.mark.parametrize("joins", [[(), (), (), (3,)], [(1,), (), (), ()], [(), (), (), (-1,)]])
def test_branches_meet_only_below_their_ends(joins: list[tuple[int, ...]]) -> None:
    with pytest.raises(SimulationError, match="`joins` must name rows above it"):
        replace(diamond(), joins=joins)


def test_a_trace_file_refuses_branches_instead_of_losing_them(tmp_path) -> None:
    with pytest.raises(SimulationError, match="wait for several others"):
        write_trace(diamond(), tmp_path / "trace.csv")


def test_runs_are_measured_from_the_first_request_to_the_last_answer() -> None:
    of = replace(
        trace([0.0, 0.0, 0.0], [100, 100, 50]),
        programs=["a", "a", "b"],
        after=np.array([-1, 0, -1]),
        gap_s=np.array([0.0, 2.0, 0.0]),
        run_deadline_s=np.array([3.0, 3.0, 2.0]),
    )
    settings = SchedulerSettings(policy="fcfs", on_missed_deadline="downgrade")
    outcome = simulate(of, [WIDE], settings, FromHistory(of))
    found = measures_of(of, outcome, [WIDE])
    assert found.runs == 2
    assert found.run_latency_s.max == pytest.approx(outcome.ended_s[1] - 0.0)
    assert found.run_deadlines_met == 0.5


def test_a_run_that_lost_a_request_has_no_latency_and_met_no_deadline() -> None:
    of = replace(
        trace([0.0, 0.0], [100, 100]),
        programs=["a", "a"],
        after=np.array([-1, 0]),
        gap_s=np.array([0.0, 2.0]),
        run_deadline_s=np.array([3.0, 3.0]),
    )
    outcome = simulate(of, [WIDE], SchedulerSettings(policy="fcfs"), FromHistory(of))
    found = measures_of(of, outcome, [WIDE])
    assert (found.runs, found.run_latency_s.max, found.run_deadlines_met) == (1, 0.0, 0.0)


def test_the_deadline_of_a_run_counts_from_its_first_request() -> None:
    of = replace(diamond(), run_deadline_s=np.full(4, 9.0))
    predictions = Oracle(of)
    requests = TraceRequests(of, predictions, predictions.runs(of, ONE.backend.cost), [""] * 4)
    assert [requests.request(n, now_s).deadline_s for n, now_s in ((0, 1.0), (3, 4.0))] == [
        10.0
    ] * 2


def test_requests_of_their_own_are_no_runs() -> None:
    of = trace([0.0, 1.0], [10, 10])
    outcome = simulate(of, [ONE], SchedulerSettings(policy="fcfs"), FromHistory(of))
    assert measures_of(of, outcome, [ONE]).runs == 0


def test_a_short_run_is_done_before_a_long_one_if_what_comes_is_known() -> None:
    of = replace(
        trace([0.0, 0.0, 0.0, 0.01, 0.01], [20, 100, 100, 90, 5]),
        programs=["long"] * 3 + ["short"] * 2,
        after=np.array([-1, 0, 1, -1, 3]),
        gap_s=np.zeros(5),
    )
    by_run = simulate(of, [ONE], SchedulerSettings(policy="run-gittins"), Oracle(of))
    by_call = simulate(of, [ONE], SchedulerSettings(policy="fcfs"), Oracle(of))
    assert by_run.ended_s[4] < by_call.ended_s[4]
    assert by_run.run_latency_s(of.runs).mean() < by_call.run_latency_s(of.runs).mean()
