"""Prompts in pieces on virtual time: what an interactive request waits for beside a batch."""

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import SMALL

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.engine import EngineModel, Finished, FirstToken, PieceDone
from headway.lab.simulation.engine_request import EngineRequest
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.predictions import Oracle
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.profiles import load_profile
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

EMBEDDED = load_profile("smollm2-135m-2-cores")
CHATS, LINES = 60, 30


def served(profile: Profile, lines: int = LINES, line_tokens: int = 600) -> Outcome:
    """Chats every two seconds, beside lines that all wait from the beginning."""
    chats_s = 10.0 + 2.0 * np.arange(CHATS)
    trace = Trace(
        "beside lines",
        np.concatenate([np.zeros(lines), chats_s]),
        np.repeat([line_tokens, 40], [lines, CHATS]),
        np.repeat([64, 16], [lines, CHATS]),
        tiers=[Tier.BATCH] * lines + [Tier.INTERACTIVE] * CHATS,
    )
    settings = SchedulerSettings(policy="fcfs")
    return simulate(trace, [Site("engine", profile)], settings, Oracle(trace))


def test_a_chat_waits_for_a_piece_and_not_for_the_prompt_of_a_line() -> None:
    idle_s = served(EMBEDDED, lines=0).ttft_s.max()
    pieces = served(EMBEDDED)
    whole = served(replace(EMBEDDED, piecewise=False))
    # Lines that began before the first chat came whole.
    worst_s, before_s = (one.ttft_s[LINES + 5 :].max() for one in (pieces, whole))
    assert worst_s < 2.5 * idle_s < before_s / 2
    assert pieces.finished.all()


def test_without_chats_a_batch_is_served_as_if_there_were_no_pieces() -> None:
    trace = Trace("lines", np.zeros(20), np.full(20, 300), np.full(20, 30), tiers=[Tier.BATCH] * 20)
    ended_s = [
        simulate(
            trace,
            [Site("engine", replace(EMBEDDED, piecewise=piecewise))],
            SchedulerSettings(policy="fcfs"),
            Oracle(trace),
        ).ended_s
        for piecewise in (False, True)
    ]
    assert (ended_s[0] == ended_s[1]).all()


@pytest.mark.parametrize("prompt", [1, 32, 33, 100])
def test_a_piece_ends_with_an_event_and_the_next_goes_on_from_there(prompt: int) -> None:
    engine = EngineModel(SMALL)
    request = EngineRequest(0, prompt, 3, piece_tokens=32)
    engine.submit(request, 0.0)
    pieces, now_s = 0, 0.0
    kinds = []
    while not kinds or kinds[-1] is not Finished:
        now_s = engine.next_event_s
        for event in engine.advance(now_s):
            kinds.append(type(event))
            if isinstance(event, PieceDone):
                pieces += 1
                engine.submit(request, now_s)
    assert pieces == (prompt - 1) // 32
    assert kinds[pieces:] == [FirstToken, Finished]
    assert request.cached_tokens == 0


def test_what_was_computed_of_a_stopped_prompt_is_not_computed_again() -> None:
    engine = EngineModel(SMALL)
    first = EngineRequest(0, 100, 3, piece_tokens=32)
    engine.submit(first, 0.0)
    assert not engine.advance(0.0)  # its first piece begins
    engine.cancel(first, engine.next_event_s / 2)
    while engine.next_event_s < float("inf"):
        assert not engine.advance(engine.next_event_s)
    again = EngineRequest(0, 100, 3)
    engine.submit(again, 100.0)
    while engine.next_event_s < float("inf"):
        engine.advance(engine.next_event_s)
    assert again.cached_tokens == 32
