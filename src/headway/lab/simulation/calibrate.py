"""An engine's profile, measured on a live server."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import fmean, median
from typing import TypeVar

import numpy as np

from headway.core.settings import SchedulerSettings
from headway.lab.loadtest.client import LoadClient, RequestResult
from headway.lab.loadtest.workload import LoadRequest, Workload
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.predictions import FromHistory
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

Key = TypeVar("Key")
Value = TypeVar("Value")

DECODED = 64
"""Tokens of each answer while decoding is measured."""
PROMPTS = (16, 64, 256, 512, 1024)
"""Words of the prompts whose prefill is measured."""
OFTEN = (16, 64)
"""Prompts that every round measures three times: they are short, so noise matters more, and most
real prompts are no longer."""
AT_ONCE = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768)
"""Concurrent decoding requests to measure: time per token does not rise evenly with them."""
ROUNDS = 5
"""Rounds of measurement."""
PROMPTS_FROM, TRIAL_FROM = 0.2, 0.5
"""Shares of a round's time after which it comes to those, roughly: for the time that is left."""
TRIAL_OF = 8
"""Requests of a trial, per slot."""
TRIAL_WORDS, TRIAL_TOKENS = (16, 256), (16, 192)
"""Least and most of a prompt and of an answer there, evenly on a log scale."""
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


@dataclass(frozen=True, slots=True)
class Mixed:
    """Requests that decoded while a prompt was computed."""

    requests: int
    prompt_tokens: int
    gap_s: float
    """Time between two of their tokens, around the first token of that prompt."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Requests of many sizes, sent at once and more than there are slots: a sample of traffic."""

    prompt_tokens: tuple[int, ...]
    output_tokens: tuple[int, ...]
    spent_s: float
    """Until the last was answered."""


@dataclass(frozen=True)
class Probes:
    """Everything that was measured."""

    decodings: list[Decoding] = field(default_factory=list)
    prefills: list[Prefill] = field(default_factory=list)
    mixed: list[Mixed] = field(default_factory=list)
    cached: list[Prefill] = field(default_factory=list)
    """Time of a prompt that was computed before: what remains is not the engine's work."""
    trials: list[Trial] = field(default_factory=list)


async def probe(
    client: LoadClient, most: int, report: Callable[[str, float], None] = lambda what, share: None
) -> Probes:
    """Measure an otherwise idle server, in a few minutes.

    Args:
        client: of the server.
        most: requests at once, at most: its slots.
        report: called with what is being measured, and the share that is done, from 0 to 1.

    Raises:
        SimulationError: it does not answer, or makes no use of more than one slot.
    """
    rng = random.Random(0)
    await _sent(client, [_request(rng, SHORT_PROMPT, DECODED)])  # warm up
    known = replace(_request(rng, PROMPTS[2], 1), cache_prompt=True)
    probes = Probes()
    side_by_side = sorted({n for n in AT_ONCE if n < most} | {most})
    # Round by round: machines are faster for a while and slower for a while, and so is
    # everything that is compared with each other.
    for number in range(1, ROUNDS + 1):
        done = (number - 1) / ROUNDS
        report(f"round {number} of {ROUNDS}, up to {most} at once", done)
        # First, and short ones after them: an engine that keeps what its slots held begins the next
        # requests later, and this probe does not look at when they begin.
        probes.decodings.append(await _decoding(client, rng, most, LONG_PROMPT))
        for at_once in side_by_side:
            probes.decodings.append(await _decoding(client, rng, at_once, SHORT_PROMPT))
        report(f"round {number} of {ROUNDS}, prompts", done + PROMPTS_FROM / ROUNDS)
        for words in (*PROMPTS, *OFTEN, *OFTEN):
            probes.prefills.append(await _prefill(client, words, _request(rng, words, 1)))
        if most > 1:
            probes.mixed.extend([await _mixed(client, rng, most - 1) for _ in range(2)])
        await _sent(client, [known])
        probes.cached.append(await _prefill(client, PROMPTS[2], known))
        many = f"round {number} of {ROUNDS}, {TRIAL_OF * most} requests of many sizes"
        report(many, done + TRIAL_FROM / ROUNDS)
        probes.trials.append(await _trial(client, rng, most))
    return probes


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


async def _prefill(client: LoadClient, words: int, request: LoadRequest) -> Prefill:
    (outcome,) = await _sent(client, [request])
    return Prefill(words, outcome.prompt_tokens, outcome.ttft_s or outcome.latency_s)


async def _mixed(client: LoadClient, rng: random.Random, decoding: int) -> Mixed:
    """The late prompt comes when those that decode are about half way."""
    requests = [_request(rng, SHORT_PROMPT, DECODED) for _ in range(decoding)]
    (first, *_) = await _sent(client, requests)
    late_s = (first.token_s[0] + first.token_s[-1]) / 2.0
    late = replace(_request(rng, SHORT_PROMPT, 1), at_s=late_s)
    *streams, last = await _sent(client, [*requests, late])
    # Tokens of one iteration come one after the other, in any order.
    first_s = late_s + (last.ttft_s or last.latency_s)
    nearest = [
        min(pairwise(outcome.token_s), key=lambda gap: abs(gap[1] - first_s)) for outcome in streams
    ]
    return Mixed(decoding, last.prompt_tokens, median(end - begin for begin, end in nearest))


async def _trial(client: LoadClient, rng: random.Random, most: int) -> Trial:
    def between(least: int, largest: int) -> int:
        return round(float(least * (largest / least) ** rng.random()))

    outcomes = await _sent(
        client,
        [
            _request(rng, between(*TRIAL_WORDS), between(*TRIAL_TOKENS))
            for _ in range(TRIAL_OF * most)
        ],
    )
    return Trial(
        tuple(outcome.prompt_tokens for outcome in outcomes),
        tuple(outcome.output_tokens for outcome in outcomes),
        max(outcome.latency_s for outcome in outcomes),
    )


async def _sent(client: LoadClient, requests: Sequence[LoadRequest]) -> list[RequestResult]:
    outcomes = await client.run(Workload(tuple(requests)))
    for outcome in outcomes:
        if not outcome.ok or not outcome.token_s:
            raise SimulationError(f"a probe was not answered: {outcome.error or 'no text came'}")
    return outcomes


def _request(rng: random.Random, words: int, tokens: int) -> LoadRequest:
    text = " ".join(rng.choice(WORDS.split()) for _ in range(words))
    messages = ({"role": "user", "content": text},)
    return LoadRequest(0.0, messages, tokens, ignore_eos=True, cache_prompt=False)


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
        (fmean(p.prompt_tokens for p in same), fmean(p.ttft_s for p in same))
        for same in _grouped(probes.prefills, lambda p: p.words).values()
    )
    longest_s = prefill[-1][1]
    cached_s = median(of.ttft_s for of in probes.cached)
    # A server that computes it all again shows no separate cost of a request.
    cached = cached_s < longest_s * PROMPTS[2] / PROMPTS[-1] / 2.0
    request_s = max(0.0, cached_s - min(dense.values())) if cached else 0.0
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
        slots=most,
        kv_tokens=kv_tokens,
        request_s=request_s,
        source="headway calibrate",
    )
    return _as_in_trials(_mixing(profile, probes.mixed), probes.trials)


def _as_in_trials(profile: Profile, trials: Sequence[Trial]) -> Profile:
    """How much slower the engine is under traffic than in probes of one thing at a time."""
    if not trials:
        return profile
    spent_s = sum(of.spent_s for of in trials)
    return profile.slower(spent_s / sum(_trial_s(profile, of) for of in trials))


def _trial_s(profile: Profile, trial: Trial) -> float:
    trace = Trace(
        "trial",
        np.zeros(len(trial.prompt_tokens)),
        np.array(trial.prompt_tokens),
        np.array(trial.output_tokens),
    )
    site = Site(profile.name, profile)
    outcome = simulate(trace, [site], SchedulerSettings(policy="fcfs"), FromHistory(trace))
    return float(outcome.latency_s.max())


def _mixing(profile: Profile, mixed: Sequence[Mixed]) -> Profile:
    """Whether two passes explain an iteration with a prompt better than one, and what is left."""
    both = [replace(profile, apart=apart) for apart in (False, True)]
    off_s = [[one.gap_s - _gap_s(candidate, one) for one in mixed] for candidate in both]
    apart = sum(map(abs, off_s[True])) < sum(map(abs, off_s[False]))
    left_s = median(off_s[apart]) if mixed else 0.0
    return replace(both[apart], mixing_s=max(0.0, left_s))


def _gap_s(profile: Profile, one: Mixed) -> float:
    contexts = one.requests * (one.prompt_tokens + DECODED / 2.0)
    return profile.mixed_s(one.prompt_tokens, one.requests) + profile.decode_kv_s * contexts


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
    for both in probes.mixed:
        name = f"prompt of {both.prompt_tokens} tokens beside {both.requests} that decode"
        rows.append((name, both.gap_s, _gap_s(profile, both)))
    for trial in probes.trials:
        name = f"{len(trial.prompt_tokens)} requests of many sizes: until the last is answered"
        rows.append((name, trial.spent_s, _trial_s(profile, trial)))
    return rows


def drift(profile: Profile, probes: Probes) -> float:
    """How much slower the engine was in its slowest round than in its fastest; 0: as fast."""
    paces = [trial.spent_s / _trial_s(profile, trial) for trial in probes.trials]
    return max(paces) / min(paces) - 1.0 if paces else 0.0


def _grouped(values: Sequence[Value], key: Callable[[Value], Key]) -> dict[Key, list[Value]]:
    groups: dict[Key, list[Value]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups
