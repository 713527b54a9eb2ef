"""A profile from probes: what was measured on a known engine gives that engine back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headway.lab.simulation.calibration.checking import drift, residuals
from headway.lab.simulation.calibration.fitting import fit
from headway.lab.simulation.calibration.limits import LONG_PROMPT, PROMPTS
from headway.lab.simulation.calibration.probes import (
    DECODED,
    SHORT_PROMPT,
    Decoding,
    Mixed,
    Prefill,
    Probes,
    Trial,
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
        4,
        4,
        [decoding(n, SHORT_PROMPT) for n in (1, 2, 3, 4)] + [decoding(4, LONG_PROMPT)],
        [prefill(words) for words in PROMPTS],
        [Mixed(3, SHORT_PROMPT + TEMPLATE, gap_s)],
        [Prefill(PROMPTS[2], PROMPTS[2] + TEMPLATE, profile.request_s + profile.dense(1))],
    )


def burst(prompts: tuple[int, ...], outputs: tuple[int, ...], spent_s: float) -> Trial:
    """Requests that came at once; the last ended after so long."""
    return Trial(prompts, outputs, (0.0,) * len(prompts), (spent_s,) * len(prompts))


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


def test_a_server_that_caches_nothing_shows_what_a_request_costs_by_short_prompts() -> None:
    tokens = PROMPTS[2] + TEMPLATE
    computed = Prefill(PROMPTS[2], tokens, KNOWN.prefill_s(tokens))
    probes = replace(probes_of(KNOWN), cached=[computed])
    assert fit("found", probes, batch_tokens=2048).request_s == pytest.approx(0.004, abs=0.001)


@pytest.mark.parametrize("away_s", [0.0, 0.02, 0.3])
def test_the_network_is_no_work_of_the_engine(away_s: float) -> None:
    known = replace(
        KNOWN, dense_tokens=(1.0, 64.0, 1054.0), dense_s=(0.002, 0.003, 0.02), request_s=away_s
    )
    found = fit("found", probes_of(known), batch_tokens=2048)
    assert found.request_s == pytest.approx(away_s, abs=0.001)
    assert found.dense(500) == pytest.approx(known.dense(500), rel=0.1)


def test_memory_is_as_it_was_said_to_be() -> None:
    assert fit("found", probes_of(KNOWN), batch_tokens=2048).kv_tokens == 0
    assert fit("found", probes_of(KNOWN), batch_tokens=2048, kv_tokens=9000).kv_tokens == 9000


def test_what_traffic_takes_longer_than_single_probes_slows_everything() -> None:
    prompts, outputs = (40, 200, 80, 60, 120, 30), (50, 20, 90, 30, 60, 10)
    probes = probes_of(KNOWN)
    quiet = fit("found", probes, batch_tokens=2048)
    asked = replace(probes, trials=[burst(prompts, outputs, 1.0)])
    *_, (_, _, foretold_s) = residuals(quiet, asked)
    slow = replace(probes, trials=[burst(prompts, outputs, 1.2 * foretold_s)])
    found = fit("found", slow, batch_tokens=2048)
    assert found.dense(4) == pytest.approx(1.2 * quiet.dense(4), rel=0.01)
    assert found.request_s == quiet.request_s
    *_, (_, measured_s, fitted_s) = residuals(found, slow)
    assert fitted_s == pytest.approx(measured_s, rel=0.01)


def test_an_engine_that_changes_its_speed_between_rounds_is_reported() -> None:
    def rounds(*spent_s: float) -> Probes:
        return replace(probes_of(KNOWN), trials=[burst((40,), (50,), spent) for spent in spent_s])

    assert drift(KNOWN, rounds(2.0, 2.0, 2.0)) == 0.0
    assert drift(KNOWN, rounds(2.0, 2.5, 2.2)) == pytest.approx(0.25)
    assert drift(KNOWN, probes_of(KNOWN)) == 0.0
