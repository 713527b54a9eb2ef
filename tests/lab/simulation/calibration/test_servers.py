"""Servers as people have them: their profile is right, or they are refused in a sentence."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from tests.lab.simulation.calibration.server import TEMPLATE, Server

from headway.lab.simulation.calibration import measuring
from headway.lab.simulation.calibration.checking import Check, checked, remarks
from headway.lab.simulation.calibration.fitting import fit
from headway.lab.simulation.calibration.limits import PROMPTS
from headway.lab.simulation.calibration.measuring import check, probe
from headway.lab.simulation.calibration.probes import Probes
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.profile import Profile

LAPTOP = Profile(
    "laptop",
    dense_tokens=(1.0, 2.0, 4.0, 46.0, 1054.0),
    dense_s=(0.007, 0.014, 0.020, 0.110, 2.4),
    decode_kv_s=0.000005,
    slots=4,
    request_s=0.004,
    apart=True,
)
"""As llama.cpp on two cores."""
GPU = Profile(
    "gpu",
    dense_tokens=(1.0, 256.0, 1054.0, 2048.0),
    dense_s=(0.007, 0.009, 0.035, 0.068),
    decode_kv_s=2e-8,
    slots=12,
    request_s=0.003,
)


async def measured(server: Server, slots: int = 0, kv_tokens: int = 0) -> tuple[Profile, Probes]:
    """The profile of a server, after it passed its own check."""
    probes = await probe(server, slots, kv_tokens, rng=random.Random(1))
    profile = fit("found", probes, server.profile.batch_tokens)
    found = checked(profile, await check(server, probes, random.Random(2)))
    assert abs(found.error) < 0.05, found.verdict()
    return profile, probes


def assert_alike(found: Profile, known: Profile, within: float) -> None:
    assert found.slots == known.slots
    for tokens in (1, 2, 4, 46, 300, 1000):
        assert found.dense(tokens) == pytest.approx(known.dense(tokens), rel=within), tokens


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "ROUNDS", 2)
    monkeypatch.setattr(measuring, "TRIAL_OF", 4)


@pytest.mark.parametrize("known", [LAPTOP, GPU])
async def test_an_engine_is_found_again_and_its_slots_are_counted(known: Profile) -> None:
    found, probes = await measured(Server(known))
    assert_alike(found, known, within=0.05)
    assert found.request_s == pytest.approx(known.request_s, abs=0.001)
    assert found.apart is known.apart
    assert f"The server decodes {known.slots} requests at once" in probes.notes
    assert remarks(found, probes) == []


@pytest.mark.parametrize(
    ("trouble", "within"),
    [
        ({"piece": 4}, 0.05),  # several tokens an event; vLLM's --stream-interval
        ({"piece": 4, "counts": True}, 0.05),
        ({"piece": 10, "counts": True}, 0.05),
        ({"silent": 30}, 0.08),  # special tokens after the end that ignore_eos asks for
        ({"buffered": 8}, 0.05),  # a proxy that waits for its buffer to fill
        ({"away_s": 0.1}, 0.05),  # network
        ({"noise_s": 0.003}, 0.08),
        ({"prompt_limit": 600}, 0.05),
        ({"prompt_limit": 600, "truncates": True}, 0.05),
        ({"caches": True, "reports_cached": True}, 0.05),
    ],
)
async def test_what_lies_between_does_not_change_the_profile(
    trouble: dict[str, Any], within: float
) -> None:
    found, _ = await measured(Server(LAPTOP, **trouble))
    assert_alike(found, LAPTOP, within)


async def test_the_network_is_not_taken_for_the_engine() -> None:
    found, _ = await measured(Server(GPU, away_s=0.3))
    assert_alike(found, GPU, within=0.05)
    assert found.request_s == pytest.approx(0.303, abs=0.002)


async def test_fewer_slots_than_the_server_has_do_not_make_it_faster() -> None:
    found, _ = await measured(Server(GPU), slots=4)
    assert_alike(found, replace(GPU, slots=4), within=0.05)


async def test_what_a_stream_does_not_show_is_left_out_and_said() -> None:
    found, probes = await measured(Server(LAPTOP, piece=4))
    assert not probes.mixed
    assert any("Answers come 3.8 tokens at a time" in note for note in probes.notes)
    assert found.mixing_s == 0.0


async def test_prompts_beyond_the_context_are_left_out_and_said() -> None:
    _, probes = await measured(Server(LAPTOP, prompt_limit=600))
    assert {one.words for one in probes.prefills} == set(PROMPTS[:-1])
    assert any(note.startswith("Prompts of 1024 words are not taken (400") for note in probes.notes)
    _, probes = await measured(Server(LAPTOP, prompt_limit=600, truncates=True))
    assert any("1024 words was cut to 599 tokens" in note for note in probes.notes)


async def test_long_prompts_are_measured_as_far_as_they_have_memory() -> None:
    room = 5 * (768 + TEMPLATE + 64)
    _, probes = await measured(Server(GPU), kv_tokens=room)
    assert probes.long_at_once == 5
    assert any(note.startswith("5 requests with prompts of 768 words") for note in probes.notes)


async def test_long_prompts_are_measured_as_far_as_they_run_side_by_side() -> None:
    small = replace(GPU, batch_tokens=128, slots=24)
    found, probes = await measured(Server(small))
    assert 1 < probes.long_at_once < 24
    assert found.slots == 24


async def test_no_prompt_is_ever_sent_again_by_another_calibration() -> None:
    server = Server(replace(GPU, slots=2), caches=True)
    firsts = []
    for _ in range(2):
        await probe(server)
        firsts.append({request.messages[-1]["content"] for request in server.sent})
        server.sent.clear()
    assert not firsts[0] & firsts[1]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ({"usage": False}, "does not say how many tokens a stream had"),
        ({"stops_after": 16}, "answers end after 16 of 64 tokens: the server limits them"),
        (
            {"stops_after": 1, "reason": "stop"},
            "ended by itself after 1 of 64 tokens: the s",
        ),
        ({"stops_after": 20, "reason": "stop"}, "the server ignores `ignore_eos`, as Ollama"),
        ({"hidden": 40}, "its reasoning is not sent, so switch it off"),
        ({"hidden": 64}, "an answer of 64 tokens has no text: the server does not send its reas"),
        ({"buffered": 10**6}, "a proxy may hold the text back"),
        ({"buffered": 40}, "a proxy may hold the text back"),
        ({"limit": 3}, r"limits how much it takes \(429: too many requests\): measure the engine"),
        ({"refuses": "ignore_eos"}, r"not take a probe \(400: unknown field ignore_eos\); it need"),
        ({"prompt_limit": 200}, "prompts of 64 words and not of 256, too few|not take a probe"),
    ],
)
async def test_a_server_that_cannot_be_measured_is_refused(
    trouble: dict[str, Any], said: str
) -> None:
    with pytest.raises(SimulationError, match=said):
        await probe(Server(LAPTOP, **trouble), rng=random.Random(1))


async def test_fewer_slots_than_stated_are_refused_with_their_number() -> None:
    with pytest.raises(SimulationError, match=r"4 decoded side by side.* or say --slots 4"):
        await probe(Server(LAPTOP), slots=8, rng=random.Random(1))


async def test_an_engine_that_gets_slower_is_said_to() -> None:
    server = Server(LAPTOP, slower=lambda batch: 1.0 + batch / 100.0)
    probes = await probe(server, rng=random.Random(1))
    found = remarks(fit("found", probes, 2048), probes)
    assert any("slower in one round than in another" in remark for remark in found)


async def test_a_client_that_computes_most_of_the_time_is_said_to() -> None:
    probes = await probe(Server(LAPTOP), rng=random.Random(1))
    (remark,) = remarks(fit("found", probes, 2048), probes, busy=0.8)
    assert remark.startswith("This command computed for 80% of the time")


def test_a_profile_that_predicts_other_requests_is_said_by_how_much() -> None:
    assert Check(32, 2.0, 1.9).verdict().endswith("predicts 1.9 s (-5%)")
    assert "off by several times as much" in Check(32, 2.0, 2.4).verdict()
    with pytest.raises(SimulationError, match=r"\(\+50%\), which is too far off .* no profile was"):
        Check(32, 2.0, 3.0).verdict()


async def test_a_server_that_is_used_by_others_after_its_calibration_fails_its_check() -> None:
    probes = await probe(Server(LAPTOP), rng=random.Random(1))
    profile = fit("found", probes, 2048)
    trial = await check(Server(LAPTOP.slower(1.6)), probes, random.Random(2))
    with pytest.raises(SimulationError, match="too far off to be of use"):
        checked(profile, trial).verdict()
