"""A profile from probes: what was measured on a known engine gives that engine back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headway.lab.loadtest.client import LoadClient
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.simulation.calibrate import (
    DECODED,
    LONG_PROMPT,
    PROMPTS,
    PROMPTS_FROM,
    SHORT_PROMPT,
    TRIAL_FROM,
    Decoding,
    Mixed,
    Prefill,
    Probes,
    Trial,
    drift,
    fit,
    probe,
    residuals,
)
from headway.lab.simulation.profile import Profile

KNOWN = Profile(
    "known",
    dense_tokens=(1.0, 2.0, 4.0, 46.0, 1054.0),
    dense_s=(0.007, 0.014, 0.020, 0.110, 2.4),
    decode_kv_s=0.000005,
    slots=4,
    request_s=0.004,
    apart=True,
)
TEMPLATE = 30
"""Tokens of a prompt beside its words."""


def probes_of(profile: Profile) -> Probes:
    """What probing an engine would find that is exactly as the profile says."""

    def decoding(requests: int, words: int) -> Decoding:
        context = words + TEMPLATE + DECODED / 2.0
        spent_s = profile.dense(requests) + profile.decode_kv_s * requests * context
        return Decoding(requests, words, context, spent_s)

    def prefill(words: int) -> Prefill:
        return Prefill(words, words + TEMPLATE, profile.prefill_s(words + TEMPLATE))

    contexts = 3 * (SHORT_PROMPT + TEMPLATE + DECODED / 2.0)
    gap_s = profile.mixed_s(SHORT_PROMPT + TEMPLATE, 3) + profile.decode_kv_s * contexts
    return Probes(
        [decoding(n, SHORT_PROMPT) for n in (1, 2, 3, 4)] + [decoding(4, LONG_PROMPT)],
        [prefill(words) for words in PROMPTS],
        [Mixed(3, SHORT_PROMPT + TEMPLATE, gap_s)],
        [Prefill(PROMPTS[2], PROMPTS[2] + TEMPLATE, profile.request_s + profile.dense(1))],
    )


@pytest.mark.parametrize("apart", [True, False])
def test_a_known_engine_is_found_again(apart: bool) -> None:
    known = replace(KNOWN, apart=apart)
    found = fit("found", probes_of(known), batch_tokens=2048)
    assert found.apart is apart
    assert found.request_s == pytest.approx(known.request_s, abs=0.0005)
    assert found.decode_kv_s == pytest.approx(known.decode_kv_s, rel=0.01)
    for tokens in (1, 2, 3, 4, 46, 300, 1000):
        assert found.dense(tokens) == pytest.approx(known.dense(tokens), rel=0.02)
    for name, measured_s, fitted_s in residuals(found, probes_of(known)):
        assert fitted_s == pytest.approx(measured_s, rel=0.02), name


def test_a_server_that_caches_nothing_is_said_to_cost_nothing_beside_its_work() -> None:
    tokens = PROMPTS[2] + TEMPLATE
    computed = Prefill(PROMPTS[2], tokens, KNOWN.prefill_s(tokens))
    probes = replace(probes_of(KNOWN), cached=[computed])
    assert fit("found", probes, batch_tokens=2048).request_s == 0.0


def test_memory_is_as_it_was_said_to_be() -> None:
    assert fit("found", probes_of(KNOWN), batch_tokens=2048).kv_tokens == 0
    assert fit("found", probes_of(KNOWN), batch_tokens=2048, kv_tokens=9000).kv_tokens == 9000


def test_what_traffic_takes_longer_than_single_probes_slows_everything() -> None:
    prompts, outputs = (40, 200, 80, 60, 120, 30), (50, 20, 90, 30, 60, 10)
    probes = probes_of(KNOWN)
    quiet = fit("found", probes, batch_tokens=2048)
    asked = replace(probes, trials=[Trial(prompts, outputs, 1.0)])
    *_, (_, _, foretold_s) = residuals(quiet, asked)
    slow = replace(probes, trials=[Trial(prompts, outputs, 1.2 * foretold_s)])
    found = fit("found", slow, batch_tokens=2048)
    assert found.dense(4) == pytest.approx(1.2 * quiet.dense(4), rel=0.01)
    assert found.request_s == quiet.request_s
    *_, (_, measured_s, fitted_s) = residuals(found, slow)
    assert fitted_s == pytest.approx(measured_s, rel=0.01)


def test_an_engine_that_changes_its_speed_between_rounds_is_reported() -> None:
    def rounds(*spent_s: float) -> Probes:
        return replace(probes_of(KNOWN), trials=[Trial((40,), (50,), spent) for spent in spent_s])

    assert drift(KNOWN, rounds(2.0, 2.0, 2.0)) == 0.0
    assert drift(KNOWN, rounds(2.0, 2.5, 2.2)) == pytest.approx(0.25)
    assert drift(KNOWN, probes_of(KNOWN)) == 0.0


@pytest.mark.timeout(300)
async def test_the_embedded_engine_can_be_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    from headway.lab.simulation import calibrate

    monkeypatch.setattr(calibrate, "ROUNDS", 1)
    monkeypatch.setattr(calibrate, "PROMPTS", (16, 32, 64))
    monkeypatch.setattr(calibrate, "LONG_PROMPT", 96)
    monkeypatch.setattr(calibrate, "DECODED", 24)
    monkeypatch.setattr(calibrate, "TRIAL_OF", 2)
    async with (
        HeadwayServer({"policy": "fcfs", "slots": 2}) as server,
        LoadClient(server.url, "default") as client,
    ):
        said: list[tuple[str, float]] = []
        probes = await probe(client, 2, lambda what, share: said.append((what, share)))
        profile = fit("embedded", probes, batch_tokens=2048)
    assert [share for _, share in said] == [0.0, PROMPTS_FROM, TRIAL_FROM]
    assert said[-1][0] == "round 1 of 1, 4 requests of many sizes"
    assert profile.slots == 2
    assert 0.001 < profile.dense(1) < 1.0
    assert profile.dense(100) > profile.dense(2)
