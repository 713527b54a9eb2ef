"""An engine's profile from what a live server takes for a few hundred tokens."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TypeVar

from headway.loadtest.client import LoadClient, Outcome
from headway.loadtest.workload import LoadRequest, Workload
from headway.simulation.errors import SimulationError
from headway.simulation.profile import Profile

Key = TypeVar("Key")
Value = TypeVar("Value")

DECODED = 64
"""Tokens of each answer while decoding is measured."""
PROMPTS = (16, 64, 256, 512, 1024)
"""Words of the prompts whose prefill is measured."""
REPEATS = 3
SHORT_PROMPT, LONG_PROMPT = 16, 768
"""Words before which decoding is measured: what a long context costs."""
WORDS = """time person year way day thing man world life hand part child eye woman place work week
case point government company number group problem fact river stone cloud garden window winter"""


@dataclass(frozen=True, slots=True)
class Decoding:
    """Requests that decoded side by side."""

    requests: int
    words: int
    """Of each prompt."""
    context_tokens: float
    """Mean over them, half way through."""
    tpot_s: float


@dataclass(frozen=True, slots=True)
class Prefill:
    """One request alone, until its first token."""

    words: int
    prompt_tokens: int
    ttft_s: float


@dataclass(frozen=True)
class Probes:
    """Everything that was measured."""

    decodings: Sequence[Decoding]
    prefills: Sequence[Prefill]


async def probe(
    client: LoadClient, most: int, told: Callable[[str], None] = lambda line: None
) -> Probes:
    """Measure a server that serves nobody else, in a minute or some.

    Args:
        client: of the server.
        most: requests at once, at most: its slots.
        told: what is being measured.

    Raises:
        SimulationError: it does not answer, or makes no use of more than one slot.
    """
    rng = random.Random(0)
    await _sent(
        client, [_request(rng, SHORT_PROMPT, DECODED)]
    )  # pays for everything that happens once
    decodings, prefills = [], []
    at_once = 1
    while at_once <= most:
        told(f"{at_once} at once")
        decodings += [await _decoding(client, rng, at_once, SHORT_PROMPT) for _ in range(REPEATS)]
        at_once = at_once * 2 if at_once * 2 <= most or at_once == most else most
    told("long contexts")
    decodings += [await _decoding(client, rng, most, LONG_PROMPT) for _ in range(REPEATS)]
    for words in PROMPTS:
        told(f"prompts of {words} words")
        for _ in range(REPEATS):
            (outcome,) = await _sent(client, [_request(rng, words, 1)])
            ttft_s = outcome.ttft_s or outcome.latency_s
            prefills.append(Prefill(words, outcome.prompt_tokens, ttft_s))
    return Probes(decodings, prefills)


async def _decoding(client: LoadClient, rng: random.Random, at_once: int, words: int) -> Decoding:
    outcomes = await _sent(client, [_request(rng, words, DECODED) for _ in range(at_once)])
    # Only while all of them decode: from the last first token to the first last one.
    begin_s = max(outcome.token_s[0] for outcome in outcomes)
    end_s = min(outcome.token_s[-1] for outcome in outcomes)
    gaps = []
    for outcome in outcomes:
        inside = [at_s for at_s in outcome.token_s if begin_s <= at_s <= end_s]
        if len(inside) > 2:
            gaps.append((inside[-1] - inside[0]) / (len(inside) - 1))
    if not gaps:
        raise SimulationError(
            f"of {at_once} requests at once, none decoded while all others did: the server has "
            f"fewer slots; say how many with --slots"
        )
    context = fmean(outcome.prompt_tokens for outcome in outcomes) + DECODED / 2.0
    return Decoding(at_once, words, context, median(gaps))


async def _sent(client: LoadClient, requests: Sequence[LoadRequest]) -> list[Outcome]:
    outcomes = await client.run(Workload(tuple(requests)))
    for outcome in outcomes:
        if not outcome.ok or not outcome.token_s:
            raise SimulationError(f"a probe was not answered: {outcome.error or 'no text came'}")
    return outcomes


def _request(rng: random.Random, words: int, tokens: int) -> LoadRequest:
    text = " ".join(rng.choice(WORDS.split()) for _ in range(words))
    messages = ({"role": "user", "content": text},)
    return LoadRequest(0.0, messages, tokens, ignore_eos=True, cache_prompt=False)


def fit(name: str, probes: Probes, batch_tokens: int) -> Profile:
    """The profile that explains the probes; medians where one was repeated."""
    decoding = {
        key: Decoding(*key, fmean(d.context_tokens for d in same), median(d.tpot_s for d in same))
        for key, same in _grouped(probes.decodings, lambda d: (d.requests, d.words)).items()
    }
    most = max(requests for requests, _ in decoding)
    short, long = decoding[most, SHORT_PROMPT], decoding[most, LONG_PROMPT]
    apart = most * (long.context_tokens - short.context_tokens)
    kv_s = max(0.0, (long.tpot_s - short.tpot_s) / apart)
    dense = {
        float(requests): of.tpot_s - kv_s * requests * of.context_tokens
        for (requests, words), of in decoding.items()
        if words == SHORT_PROMPT
    }
    prefill = sorted(
        (fmean(p.prompt_tokens for p in same), median(p.ttft_s for p in same))
        for same in _grouped(probes.prefills, lambda p: p.words).values()
    )
    request_s = _request_s(prefill, dense)
    for tokens, ttft_s in prefill:
        if max(dense) < tokens <= batch_tokens:
            # Never less than the tokens before it, whatever noise says.
            dense[tokens] = max(ttft_s - request_s, max(dense.values()))
    ordered = sorted(dense.items())
    return Profile(
        name,
        tuple(tokens for tokens, _ in ordered),
        tuple(seconds for _, seconds in ordered),
        decode_kv_s=kv_s,
        batch_tokens=batch_tokens,
        slots=most,
        request_s=request_s,
        source="headway calibrate",
    )


def residuals(profile: Profile, probes: Probes) -> list[tuple[str, float, float]]:
    """What was measured, in seconds, and what the profile says of it, probe by probe."""
    rows = []
    for of in probes.decodings:
        spent_s = profile.dense(of.requests) + profile.sequence_s * of.requests
        spent_s += profile.decode_kv_s * of.requests * of.context_tokens
        name = f"{of.requests} decode after {of.context_tokens:.0f} tokens: time per token"
        rows.append((name, of.tpot_s, spent_s))
    for one in probes.prefills:
        name = f"prompt of {one.prompt_tokens} tokens: time to first token"
        rows.append((name, one.ttft_s, profile.prefill_s(one.prompt_tokens)))
    return rows


def _request_s(prefill: Sequence[tuple[float, float]], dense: dict[float, float]) -> float:
    """What a request costs outside of the engine's loop: TTFT of no prompt, less an iteration."""
    (low, low_s), (high, high_s) = prefill[:2]
    slope = (high_s - low_s) / (high - low)
    return max(0.0, low_s - slope * low - min(dense.values()))


def _grouped(values: Sequence[Value], key: Callable[[Value], Key]) -> dict[Key, list[Value]]:
    groups: dict[Key, list[Value]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups
