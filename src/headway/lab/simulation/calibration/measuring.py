"""Measures a server, round by round."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from statistics import fmean, median

from headway.lab.loadtest.workload import LoadRequest
from headway.lab.simulation.calibration.answers import (
    LoadRunner,
    answers,
    computed_tokens,
    request,
    time_per_token,
)
from headway.lab.simulation.calibration.limits import PROMPTS, limits_of
from headway.lab.simulation.calibration.probes import (
    DECODED,
    SHORT_PROMPT,
    Decoding,
    Mixed,
    Prefill,
    Probes,
    Trial,
)
from headway.lab.simulation.errors import SimulationError

OFTEN = (16, 64)
"""Prompts that every round measures three times: they are short, so noise matters more, and most
real prompts are no longer."""
AT_ONCE = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768)
"""Concurrent decoding requests to measure: time per token does not rise evenly with them."""
ROUNDS = 5
"""Rounds of measurement."""
ROUNDS_FROM, ROUNDS_TAKE = 0.1, 0.8
"""Share of the time before the rounds, and that of the rounds, roughly: for the time left."""
PROMPTS_FROM, TRIAL_FROM = 0.2, 0.5
"""Shares of a round's time after which it comes to those, likewise."""
CHECK_FROM = ROUNDS_FROM + ROUNDS_TAKE
TRIAL_OF = 8
"""Requests of a trial, per slot."""
LEAST_OF_TRIAL = 24
"""Requests of a trial."""
TRIAL_WORDS, TRIAL_TOKENS = (16, 256), (16, 192)
"""Least and most of a prompt and of an answer there, evenly on a log scale."""
KNOWN_PROMPT = PROMPTS[2]
"""Words of the prompt that is computed before it is measured."""
LOAD = 0.7
"""Share of its capacity at which the server is checked."""


async def probe(
    client: LoadRunner,
    slots: int = 0,
    kv_tokens: int = 0,
    report: Callable[[str, float], None] = lambda what, share: None,
    rng: random.Random | None = None,
) -> Probes:
    """Measure an otherwise idle server, in a few minutes.

    Args:
        client: of the server.
        slots: requests that it decodes at once; 0: count them.
        kv_tokens: its KV memory; 0: unknown.
        report: called with what is being measured, and the share that is done, from 0 to 1.
        rng: draws prompts. By default other ones each time: a server may know those of the last
            calibration.

    Raises:
        SimulationError: it does not answer, or in a way from which no profile follows.
    """
    rng = rng or random.Random()
    limits = await limits_of(client, rng, slots, kv_tokens, report)
    most = limits.slots
    known = replace(request(rng, KNOWN_PROMPT, 1), cache_prompt=True)
    probes = Probes(most, limits.long_at_once, notes=limits.notes)
    side_by_side = sorted({n for n in AT_ONCE if n < most} | {most, limits.long_at_once})
    # Round by round: machines are faster for a while and slower for a while, and so is
    # everything that is compared with each other.
    for number in range(1, ROUNDS + 1):
        done, of_one = ROUNDS_FROM + ROUNDS_TAKE * (number - 1) / ROUNDS, ROUNDS_TAKE / ROUNDS
        report(f"round {number} of {ROUNDS}, up to {most} at once", done)
        # First, and short ones after them: an engine that keeps what its slots held begins the next
        # requests later, and this probe does not look at when they begin.
        await _decoding(client, rng, probes, limits.long_at_once, limits.long_prompt)
        for at_once in side_by_side:
            await _decoding(client, rng, probes, at_once, SHORT_PROMPT)
        report(f"round {number} of {ROUNDS}, prompts", done + PROMPTS_FROM * of_one)
        for words in (*limits.prompts, *OFTEN, *OFTEN):
            probes.prefills.append(await _prefill(client, words, request(rng, words, 1)))
        if most > 1 and limits.shows_tokens:
            probes.mixed.extend([await _mixed(client, rng, most - 1) for _ in range(2)])
        await answers(client, [known])
        probes.cached.append(await _prefill(client, KNOWN_PROMPT, known))
        report(f"round {number} of {ROUNDS}, traffic", done + TRIAL_FROM * of_one)
        probes.trials.append(await _trial(client, rng, most))
    return probes


async def check(client: LoadRunner, probes: Probes, rng: random.Random | None = None) -> Trial:
    """Measure what no profile is made from: requests that arrive one by one.

    Raises:
        SimulationError: as `probe`.
    """
    ended_s = fmean(of.spent_s for of in probes.trials)
    rate = LOAD * len(probes.trials[0].latency_s) / ended_s
    return await _trial(client, rng or random.Random(), probes.slots, rate)


async def _decoding(
    client: LoadRunner, rng: random.Random, probes: Probes, at_once: int, words: int
) -> None:
    outcomes = await answers(client, [request(rng, words, DECODED) for _ in range(at_once)])
    tpot_s = time_per_token(outcomes)
    if tpot_s is None:
        raise SimulationError(
            f"of {at_once} requests at once, none decoded while all others did: the server has "
            f"fewer slots, or something else uses them; say how many with --slots"
        )
    context = fmean(of.prompt_tokens + of.output_tokens / 2.0 for of in outcomes)
    probes.decodings.append(Decoding(at_once, words, context, tpot_s))


async def _prefill(client: LoadRunner, words: int, asked: LoadRequest) -> Prefill:
    (outcome,) = await answers(client, [asked])
    return Prefill(words, computed_tokens(outcome), outcome.ttft_s or outcome.latency_s)


async def _mixed(client: LoadRunner, rng: random.Random, decoding: int) -> Mixed:
    """The late prompt comes when those that decode are about half way."""
    requests = [request(rng, SHORT_PROMPT, DECODED) for _ in range(decoding)]
    (first, *_) = await answers(client, requests)
    late_s = (first.token_s[0] + first.token_s[-1]) / 2.0
    requests = [request(rng, SHORT_PROMPT, DECODED) for _ in range(decoding)]
    late = request(rng, SHORT_PROMPT, 1, late_s)
    *streams, last = await answers(client, [*requests, late])
    # Tokens of one iteration come one after the other, in any order.
    first_s = late_s + (last.ttft_s or last.latency_s)
    nearest = [
        min(pairwise(outcome.token_s), key=lambda gap: abs(gap[1] - first_s)) for outcome in streams
    ]
    return Mixed(decoding, computed_tokens(last), median(end - begin for begin, end in nearest))


async def _trial(
    client: LoadRunner, rng: random.Random, slots: int, rate_rps: float = 0.0
) -> Trial:
    """Requests of many sizes; all at once unless they have a rate."""

    def between(least: int, largest: int) -> int:
        return round(float(least * (largest / least) ** rng.random()))

    asked, at_s = [], 0.0
    for _ in range(max(LEAST_OF_TRIAL, TRIAL_OF * slots)):
        asked.append(request(rng, between(*TRIAL_WORDS), between(*TRIAL_TOKENS), at_s))
        at_s += rng.expovariate(rate_rps) if rate_rps else 0.0
    # No more at once than the profile has slots: the server may have more.
    outcomes = await answers(client, asked, at_once=slots, timed=False)
    return Trial(
        tuple(map(computed_tokens, outcomes)),
        tuple(of.output_tokens for of in outcomes),
        tuple(of.request.at_s for of in outcomes),
        tuple(of.latency_s for of in outcomes),
    )
