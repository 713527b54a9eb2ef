"""The engine model: what it says is what an engine would do, token by token."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.lab.simulation import naive
from tests.lab.simulation.conftest import CLOCK, SMALL

from headway.lab.simulation.engine import EngineModel, Finished, FirstToken
from headway.lab.simulation.engine_request import EngineRequest
from headway.lab.simulation.profile import Profile

pieces = st.builds(
    naive.Piece,
    at_s=st.floats(0.0, 3.0).map(lambda at_s: round(at_s, 3)),
    prompt_tokens=st.integers(1, 200),
    output_tokens=st.integers(1, 60),
)
profiles = st.sampled_from(
    [
        SMALL,
        replace(SMALL, mixed=False),
        replace(SMALL, apart=True, mixing_s=0.002),
        replace(SMALL, decode_kv_s=0.0),
        replace(SMALL, mixed_kv_s=0.000005, request_s=0.003),
        replace(SMALL, slots=1),
    ]
)


def times(profile: Profile, requests: list[naive.Piece]) -> dict[int, tuple[float, float]]:
    """First and last token of each, by the engine model."""
    engine = EngineModel(profile)
    coming = sorted(enumerate(requests), key=lambda pair: pair[1].at_s)
    first: dict[int, float] = {}
    found: dict[int, tuple[float, float]] = {}
    while coming or len(found) < len(requests):
        if coming and coming[0][1].at_s <= engine.next_event_s:
            number, piece = coming.pop(0)
            request = EngineRequest(number, piece.prompt_tokens, piece.output_tokens)
            engine.submit(request, piece.at_s)
            continue
        now_s = engine.next_event_s
        for event in engine.advance(now_s):
            number = event.request.number
            if isinstance(event, FirstToken):
                first[number] = now_s
            else:
                found[number] = (first[number], now_s)
    return found


@given(profiles, st.lists(pieces, min_size=1, max_size=12))
def test_it_agrees_with_going_token_by_token(profile: Profile, requests: list[naive.Piece]) -> None:
    naive.run(profile, requests)
    found = times(profile, requests)
    for number, piece in enumerate(requests):
        assert found[number] == pytest.approx((piece.first_s, piece.end_s), abs=1e-6)


def test_alone_it_takes_what_the_profile_says() -> None:
    piece = naive.Piece(0.0, prompt_tokens=100, output_tokens=50)
    ((first_s, end_s),) = times(SMALL, [piece]).values()
    assert first_s == pytest.approx(SMALL.prefill_s(100))
    assert end_s == pytest.approx(SMALL.alone_s(100, 50))


def test_a_request_that_is_taken_out_keeps_what_it_produced() -> None:
    engine = EngineModel(CLOCK)
    request = EngineRequest(0, prompt_tokens=1, output_tokens=100)
    engine.submit(request, 0.0)
    engine.advance(engine.next_event_s)
    engine.advance(engine.next_event_s)
    assert engine.produced(request, 0.2051) == 20
    engine.cancel(request, 0.2051)
    assert request.produced == 20
    engine.advance(engine.next_event_s)
    again = EngineRequest(0, 1, 100, produced=20)
    engine.submit(again, 0.5)
    events = []
    while engine.next_event_s < float("inf"):
        now_s = engine.next_event_s
        events += [(now_s, type(event)) for event in engine.advance(now_s)]
    assert events == [(pytest.approx(0.51), FirstToken), (pytest.approx(1.3), Finished)]


def test_without_memory_the_last_to_come_is_computed_anew() -> None:
    profile = replace(SMALL, kv_tokens=120, block_tokens=1, prefix_cache=False)
    engine = EngineModel(profile)
    for number in range(2):
        engine.submit(EngineRequest(number, prompt_tokens=40, output_tokens=60), 0.0)
    ended = []
    while engine.next_event_s < float("inf"):
        for event in engine.advance(engine.next_event_s):
            if isinstance(event, Finished):
                ended.append(event.request.number)
        assert engine.kv_used_tokens <= 120
    assert ended == [0, 1]
    assert engine.recomputed == 1


@pytest.mark.parametrize("swap_s", [0.0, 0.01])
def test_who_lost_its_memory_still_gets_every_token(swap_s: float) -> None:
    """One second an iteration: A, B and C have room for 5 tokens each, A and C for 14."""
    profile = replace(
        CLOCK, dense_s=(1.0,), slots=3, kv_tokens=48, block_tokens=1, prefix_cache=False
    )
    engine = EngineModel(replace(profile, swap_s_per_token=swap_s))
    for number, tokens in enumerate((20, 10, 30)):
        engine.submit(EngineRequest(number, prompt_tokens=10, output_tokens=tokens), 0.0)
    times: dict[tuple[type, int], float] = {}
    while engine.next_event_s < float("inf"):
        now_s = engine.next_event_s
        for event in engine.advance(now_s):
            times.setdefault((type(event), event.request.number), now_s)
    assert engine.recomputed == 2
    moved_s = times[Finished, 0] - times[FirstToken, 0] - 19.0
    assert moved_s == pytest.approx(0.0) if not swap_s else 0.1 < moved_s < 1.0
    out_s = times[Finished, 2] - times[FirstToken, 2] - 29.0
    assert out_s > 8.0


def test_prompts_that_begin_alike_are_computed_once() -> None:
    engine = EngineModel(replace(SMALL, batch_tokens=2048))
    blocks = (11, 12, 13)
    firsts = []
    for number in range(2):
        engine.submit(EngineRequest(number, 1500, 1, hashes=blocks), float(number))
        while engine.next_event_s < float("inf"):
            now_s = engine.next_event_s
            firsts += [now_s for e in engine.advance(now_s) if isinstance(e, FirstToken)]
    cold_s, warm_s = firsts[0], firsts[1] - 1.0
    assert cold_s == pytest.approx(SMALL.dense(1500) + 0.0001 + 1e-7 * 1500 * 750)
    assert warm_s < cold_s / 10


def test_an_engine_that_stops_loses_everything_and_can_be_used_again() -> None:
    engine = EngineModel(replace(CLOCK, slots=2, kv_tokens=1000))
    lost = EngineRequest(0, 10, 100)
    engine.submit(lost, 0.0)
    engine.submit(EngineRequest(1, 10, 100), 0.0)
    while engine.next_event_s <= 0.5:
        engine.advance(engine.next_event_s)
    assert engine.produced(lost, 0.505) == 50
    engine.stop(0.505)
    assert engine.next_event_s == float("inf")
    assert engine.kv_used_tokens == 0
    assert engine.busy_s == pytest.approx(0.505)
    again = EngineRequest(0, 10, 100, produced=50)
    engine.submit(again, 1.0)
    events = []
    while engine.next_event_s < float("inf"):
        at_s = engine.next_event_s
        events += engine.advance(at_s)
    assert events == [FirstToken(again), Finished(again)]
    assert at_s == pytest.approx(1.5)
