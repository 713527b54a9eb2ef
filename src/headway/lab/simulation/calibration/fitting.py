"""The profile that explains probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean, median
from typing import TypeVar

from headway.lab.simulation.calibration.checking import gap_s, trial_s
from headway.lab.simulation.calibration.probes import (
    SHORT_PROMPT,
    Decoding,
    Mixed,
    Prefill,
    Probes,
    Trial,
)
from headway.lab.simulation.profile import Profile

Key = TypeVar("Key")
Value = TypeVar("Value")


def fit(name: str, probes: Probes, batch_tokens: int, kv_tokens: int = 0) -> Profile:
    """The profile that fits the probes.

    Args:
        name: of the profile.
        probes: what was measured.
        batch_tokens, kv_tokens: the engine's own limits, which no probe shows.
    """
    decoding = {
        # Means, here and for prompts: occasional disturbances also happen in service.
        key: Decoding(*key, fmean(d.context_tokens for d in same), fmean(d.tpot_s for d in same))
        for key, same in _grouped(probes.decodings, lambda d: (d.requests, d.words)).items()
    }
    (long,) = (of for of in decoding.values() if of.words != SHORT_PROMPT)
    short = decoding[long.requests, SHORT_PROMPT]
    apart = long.requests * (long.context_tokens - short.context_tokens)
    kv_s = max(0.0, (long.tpot_s - short.tpot_s) / apart)
    dense = {
        float(requests): of.tpot_s - kv_s * requests * of.context_tokens
        for (requests, words), of in decoding.items()
        if words == SHORT_PROMPT
    }
    prefill = sorted(
        (fmean(p.prompt_tokens for p in same), fmean(p.ttft_s for p in same))
        for same in _grouped(probes.prefills, lambda p: p.words).values()
    )
    request_s = _request_s(dense, prefill, probes.cached)
    for tokens, ttft_s in prefill:
        if max(dense) < tokens <= batch_tokens:
            # Never less than for fewer tokens, despite noise.
            dense[tokens] = max(ttft_s - request_s, max(dense.values()))
    ordered = sorted(dense.items())
    profile = Profile(
        name,
        tuple(tokens for tokens, _ in ordered),
        tuple(seconds for _, seconds in ordered),
        decode_kv_s=kv_s,
        batch_tokens=batch_tokens,
        slots=probes.slots,
        kv_tokens=kv_tokens,
        request_s=request_s,
        source="headway calibrate",
    )
    return _as_in_trials(_mixing(profile, probes.mixed), probes.trials)


def _request_s(
    dense: dict[float, float], prefill: list[tuple[float, float]], cached: Sequence[Prefill]
) -> float:
    """What each request costs outside of the engine's loop: network, HTTP, tokenizing.

    Two measurements have it besides one iteration: a prompt that was computed before, if the server
    keeps prompts, and the line through the two shortest prompts, at one token.
    """
    one_s = dense[min(dense)]
    (few, few_s), (more, more_s) = prefill[:2]
    at_one_s = few_s - (few - 1.0) * max(0.0, more_s - few_s) / (more - few)
    cached_s = median(of.ttft_s for of in cached)
    return max(0.0, min(at_one_s, cached_s) - one_s)


def _as_in_trials(profile: Profile, trials: Sequence[Trial]) -> Profile:
    """How much slower the engine is under traffic than in probes of one thing at a time."""
    if not trials:
        return profile
    spent_s = sum(of.spent_s for of in trials)
    return profile.slower(spent_s / sum(trial_s(profile, of) for of in trials))


def _mixing(profile: Profile, mixed: Sequence[Mixed]) -> Profile:
    """Whether two passes explain an iteration with a prompt better than one, and what is left."""
    if not mixed:
        return profile
    both = [replace(profile, apart=apart) for apart in (False, True)]
    off_s = [[one.gap_s - gap_s(candidate, one) for one in mixed] for candidate in both]
    apart = sum(map(abs, off_s[True])) < sum(map(abs, off_s[False]))
    return replace(both[apart], mixing_s=max(0.0, median(off_s[apart])))


def _grouped(values: Sequence[Value], key: Callable[[Value], Key]) -> dict[Key, list[Value]]:
    groups: dict[Key, list[Value]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups
