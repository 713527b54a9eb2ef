"""The scheduler on virtual time: who is served, when, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lab.simulation.conftest import CLOCK, SMALL, trace

from headway.core.estimate import SizeEstimate
from headway.core.policies import POLICIES
from headway.core.request import Tier
from headway.core.settings import SchedulerSettings, TierSettings
from headway.lab.simulation.predictions import FromHistory, Noisy, Oracle, Predictions
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site

ONE = Site("one", CLOCK)


def test_fcfs_serves_one_after_the_other() -> None:
    of = trace([0.0, 0.1, 5.0], [100, 50, 10])
    outcome = simulate(of, [ONE], SchedulerSettings(policy="fcfs"), FromHistory(of))
    assert outcome.started_s.tolist() == pytest.approx([0.0, 1.0, 5.0])
    assert outcome.ended_s.tolist() == pytest.approx([1.0, 1.5, 5.1])
    assert outcome.first_token_s.tolist() == pytest.approx([0.01, 1.01, 5.01])


def test_srpt_lets_the_short_one_in_between_and_loses_nothing() -> None:
    of = trace([0.0, 0.5], [500, 20])
    outcome = simulate(of, [ONE], SchedulerSettings(policy="srpt"), Oracle(of))
    assert outcome.preemptions.tolist() == [1, 0]
    assert outcome.latency_s[1] < 0.25
    assert outcome.ended_s[0] == pytest.approx(5.2, abs=0.05)


class HundredTokens(Predictions):
    """Predicts them for every request."""

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        return SizeEstimate((50, 200), (0.5, 0.5)), log2(100)

    def finished(self, number: int) -> None:
        pass


@pytest.mark.parametrize("policy", ["sjf", "ltr", "gittins"])
def test_predictions_are_capped_by_the_limit_of_a_request(policy: str) -> None:
    of = replace(trace([0.0, 0.0, 0.0], [50, 60, 10]), max_tokens=np.array([0, 0, 10]))
    outcome = simulate(of, [ONE], SchedulerSettings(policy=policy), HundredTokens())
    assert np.argsort(outcome.ended_s).tolist() == [2, 0, 1]


def test_a_session_sends_when_it_has_its_answer() -> None:
    of = replace(
        trace([0.0, 0.0, 0.1], [100, 10, 10]),
        after=np.array([-1, 0, -1]),
        gap_s=np.array([0.0, 2.0, 0.0]),
    )
    outcome = simulate(of, [ONE], SchedulerSettings(policy="fcfs"), Oracle(of))
    assert outcome.released_s.tolist() == pytest.approx([0.0, 3.0, 0.1])


def test_a_second_engine_halves_the_wait() -> None:
    of = trace([0.0] * 4, [100] * 4)
    two = [ONE, Site("two", CLOCK)]
    outcome = simulate(of, two, SchedulerSettings(policy="fcfs"), Oracle(of))
    assert sorted(outcome.ended_s.tolist()) == pytest.approx([1.0, 1.0, 2.0, 2.0])
    assert sorted(outcome.backend.tolist()) == [0, 0, 1, 1]


def test_each_refusal_has_its_own_error() -> None:
    of = replace(trace([0.0, 0.0], [1000, 10]), deadline_s=np.array([np.nan, 0.5]))
    outcome = simulate(of, [ONE], SchedulerSettings(policy="fcfs"), Oracle(of))
    assert outcome.finished.tolist() == [True, False]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(POLICIES)),
    st.lists(
        st.tuples(st.floats(0, 5), st.integers(1, 80), st.integers(1, 120), st.sampled_from(Tier)),
        min_size=1,
        max_size=40,
    ),
    st.booleans(),
)
def test_everybody_is_answered_once_and_in_time_order(
    policy: str, rows: list[tuple[float, int, int, Tier]], tight: bool
) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    of = replace(
        trace([row[0] for row in rows], [row[2] for row in rows]),
        prompt_tokens=np.array([row[1] for row in rows]),
        tiers=[row[3] for row in rows],
    )
    profile = replace(SMALL, kv_tokens=256, block_tokens=1) if tight else SMALL
    outcome = simulate(of, [Site("a", profile)], SchedulerSettings(policy=policy), Noisy(of, 1.0))
    assert outcome.finished.all()
    assert (outcome.started_s >= outcome.released_s).all()
    assert (outcome.first_token_s > outcome.started_s).all()
    assert (outcome.ended_s >= outcome.first_token_s).all()
    fastest_s = np.array([row[2] for row in rows]) * profile.dense(1) * 0.999
    assert (outcome.ended_s - outcome.started_s >= fastest_s).all()


def test_the_starvation_bound_holds_here_too() -> None:
    of = trace([0.0, *np.arange(0.0, 60.0, 0.3)], [200, *[28] * 200])
    bound = dict.fromkeys(Tier, TierSettings(max_wait_s=5.0))
    waits = {
        tiers: simulate(of, [ONE], SchedulerSettings(policy="sjf", tiers=bounds), Oracle(of)).wait_s
        for tiers, bounds in (("bound", bound), ("free", {}))
    }
    assert waits["bound"][0] <= waits["free"][0]


def test_equal_input_gives_equal_output() -> None:
    of = trace(np.linspace(0, 2, 40), [(7 * n) % 50 + 1 for n in range(40)])
    runs = [
        simulate(of, [Site("a", SMALL)], SchedulerSettings(policy="srpt"), Noisy(of, 0.5, seed=3))
        for _ in range(2)
    ]
    assert runs[0].ended_s.tolist() == runs[1].ended_s.tolist()
