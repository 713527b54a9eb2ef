"""Laws of any engine under fcfs, whatever its profile.

Units of time change nothing, a long silence leaves nothing behind, a free slot is used, and who
came first starts first.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lab.simulation.conftest import CLOCK, SMALL

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.measures import measures_of
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.predictions import FromHistory
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

LARGEST = 160
"""Tokens of the largest request."""
profiles = st.builds(
    lambda slots, changes: replace(SMALL, slots=slots, **changes),
    st.sampled_from([1, 2, 5]),
    st.sampled_from(
        [
            {},
            {"mixed": False, "request_s": 0.003},
            {"apart": True, "mixing_s": 0.002},
            {"kv_tokens": LARGEST + 20, "block_tokens": 1},
            {"kv_tokens": LARGEST + 20, "swap_s_per_token": 0.0001, "prefix_cache": False},
        ]
    ),
)
traces = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(1, 100), st.integers(1, 60)),
    min_size=1,
    max_size=25,
).map(
    lambda rows: Trace(
        "any",
        np.array(sorted(ms for ms, _, _ in rows)) / 1000.0,
        np.array([prompt for _, prompt, _ in rows]),
        np.array([output for _, _, output in rows]),
    ).from_zero()
)


def run(of: Trace, profile: Profile, slots: int = 0) -> Outcome:
    site = Site("one", profile, slots)
    return simulate(of, [site], SchedulerSettings(policy="fcfs"), FromHistory(of))


@settings(max_examples=60, deadline=None)
@given(traces, profiles, st.sampled_from([1e-3, 60.0, 1e4]))
def test_a_unit_of_time_changes_nothing(of: Trace, profile: Profile, times: float) -> None:
    slower = replace(
        profile.slower(times),
        request_s=times * profile.request_s,
        swap_s_per_token=times * profile.swap_s_per_token,
    )
    found = run(of.faster(1.0 / times), slower).ended_s
    assert found == pytest.approx(times * run(of, profile).ended_s, rel=1e-5, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(traces, profiles, st.sampled_from([1e4, 1e8]))
def test_after_days_of_silence_all_is_as_in_the_beginning(
    of: Trace, profile: Profile, silence_s: float
) -> None:
    twice = Trace(
        "twice",
        np.concatenate([of.arrival_s, of.arrival_s + silence_s]),
        np.tile(of.prompt_tokens, 2),
        np.tile(of.output_tokens, 2),
    )
    first_s, second_s = np.split(run(twice, profile).latency_s, 2)
    assert second_s == pytest.approx(first_s, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(traces, profiles)
def test_a_free_slot_is_used_in_the_order_of_arrival(of: Trace, profile: Profile) -> None:
    outcome = run(of, profile)
    assert (np.diff(outcome.started_s) >= 0.0).all()
    waited = outcome.started_s > outcome.released_s + 1e-6
    for before_s in outcome.started_s[waited] - 1e-7:
        busy = (outcome.started_s <= before_s) & (outcome.ended_s > before_s)
        assert busy.sum() == profile.slots
    alone_s = [
        profile.alone_s(*size) for size in zip(of.prompt_tokens, of.output_tokens, strict=True)
    ]
    assert (outcome.latency_s >= np.array(alone_s) - 1e-6).all()
    measures = measures_of(of, outcome, [Site("one", profile)])
    assert measures.utilisation <= 1.0 + 1e-9
    assert measures.kv_use <= 1.0 + 1e-9


@settings(max_examples=60, deadline=None)
@given(traces, profiles)
def test_a_faster_engine_is_no_worse(of: Trace, profile: Profile) -> None:
    if not profile.kv_tokens:  # who gives its memory back is another one then
        fast, slow = run(of, profile.slower(0.5)), run(of, profile)
        assert fast.latency_s.mean() <= slow.latency_s.mean() + 1e-9


@pytest.mark.parametrize("slots", [1, 4, 32])
def test_what_is_sent_to_an_engine_runs_there(slots: int) -> None:
    """More slots than its profile has are those of an engine that was started with as many."""
    of = Trace("burst", np.zeros(32), np.full(32, 8), np.full(32, 50))
    asked, started = run(of, SMALL, slots), run(of, replace(SMALL, slots=slots))
    assert asked.ended_s.tolist() == started.ended_s.tolist()


def test_a_clock_with_more_slots_serves_more_at_once() -> None:
    of = Trace("burst", np.zeros(8), np.ones(8, int), np.full(8, 100))
    assert run(of, CLOCK, slots=8).latency_s.max() == pytest.approx(1.0)
