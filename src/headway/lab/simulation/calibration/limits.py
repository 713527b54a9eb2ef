"""What a server takes: how long prompts, how many requests at once, and whether its stream shows
when tokens are made."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from headway.lab.simulation.calibration.answers import (
    LoadRunner,
    NotTaken,
    answers,
    overlapping,
    request,
    time_per_token,
    tokens_together,
)
from headway.lab.simulation.calibration.probes import DECODED, SHORT_PROMPT
from headway.lab.simulation.errors import SimulationError

PROMPTS = (16, 64, 256, 512, 1024)
"""Words of the prompts whose prefill is measured."""
LONG_PROMPT = 768
"""Words before which decoding is measured, too: what a long context costs."""
MOST_SLOTS = 256
"""Requests at once up to which the server's slots are counted."""
SEEN = 0.6
"""Share of the time of an answer's tokens that has to be seen in the stream."""
TOGETHER, MOST_TOGETHER = 1.2, 16.0
"""Tokens at a time that need a remark, and that are too many to measure anything."""
CUT = 0.8
"""A prompt with less than this share of its tokens was cut."""


@dataclass(frozen=True)
class Limits:
    """What was found out."""

    prompts: tuple[int, ...]
    """Words of the prompts to measure."""
    long_prompt: int
    """Words of the long one."""
    slots: int
    long_at_once: int
    tokens_together: float
    """Tokens of an answer that come at a time."""
    notes: list[str] = field(default_factory=list)

    @property
    def shows_tokens(self) -> bool:
        """Whether the stream shows when each token was made."""
        return self.tokens_together <= TOGETHER


async def limits_of(
    client: LoadRunner,
    rng: random.Random,
    slots: int,
    kv_tokens: int,
    report: Callable[[str, float], None],
) -> Limits:
    """Find out what the server takes. It warms up by that, too.

    Args:
        client: of the server.
        rng: draws the words of prompts.
        slots: requests that it decodes at once; 0: count them.
        kv_tokens: its KV memory; 0: unknown.
        report: called with what is tried, and the share of all measuring that is done.

    Raises:
        SimulationError: it cannot be measured.
    """
    notes: list[str] = []
    report("one request alone", 0.0)
    await answers(client, [request(rng, SHORT_PROMPT, DECODED)])  # models are loaded now
    together = await _tokens_together(client, rng)
    if together > TOGETHER:
        notes.append(
            f"Answers come {together:.1f} tokens at a time, so what a prompt costs those that "
            f"decode beside it was not measured. If that is speculative decoding, the time per "
            f"token depends on the text, and here it is that of random words"
        )
    report("long prompts", 0.01)
    prompts = await _prompts(client, rng, notes)
    report("how many requests at once", 0.02)
    found = await _slots(client, rng, slots, notes)
    report("long prompts at once", 0.05)
    long_prompt = min(LONG_PROMPT, prompts[-1])
    long_prompt, long_at_once = await _long(client, rng, found, long_prompt, kv_tokens, notes)
    return Limits(prompts, long_prompt, found, long_at_once, together, notes)


async def _tokens_together(client: LoadRunner, rng: random.Random) -> float:
    """Compare the time of many tokens with what the stream shows of it."""
    one, many = [], []
    for _ in range(3):
        one += await answers(client, [request(rng, SHORT_PROMPT, 1)])
        many += await answers(client, [request(rng, SHORT_PROMPT, DECODED)])
    spent_s = median(of.latency_s for of in many) - median(of.latency_s for of in one)
    seen_s = median(of.latency_s - of.token_s[0] for of in many)
    together = median(map(tokens_together, many))
    if together > MOST_TOGETHER or seen_s < SEEN * spent_s:
        reasoning = max(of.reasoning_tokens for of in many)
        why = (
            "its reasoning is not sent, so switch it off"
            if reasoning
            else "a proxy may hold the text back, or reasoning is not sent: measure the engine "
            "itself, or switch the proxy's buffering off"
        )
        raise SimulationError(
            f"{DECODED} tokens take {spent_s:.2g} s and the stream shows them within "
            f"{seen_s:.2g} s, {together:.0f} at a time: {why}"
        )
    return together


async def _prompts(client: LoadRunner, rng: random.Random, notes: list[str]) -> tuple[int, ...]:
    """The lengths of prompts that it takes as they are."""
    taken: list[int] = []
    tokens: list[float] = []
    for words in PROMPTS:
        try:
            (outcome,) = await answers(client, [request(rng, words, 1)])
        except NotTaken as error:
            if len(taken) < 2:
                raise
            notes.append(f"Prompts of {words} words are not taken ({error.reason[:200]})")
            break
        if len(taken) >= 2:
            per_word = (tokens[1] - tokens[0]) / (taken[1] - taken[0])
            if outcome.prompt_tokens < CUT * (tokens[1] + per_word * (words - taken[1])):
                notes.append(f"A prompt of {words} words was cut to {outcome.prompt_tokens} tokens")
                break
        taken.append(words)
        tokens.append(outcome.prompt_tokens)
    if len(taken) < 3:
        raise SimulationError(
            f"the server takes prompts of {taken[-1]} words and not of {PROMPTS[len(taken)]}, too "
            f"few to measure what prompts cost; give it a longer context"
        )
    if tokens[1] <= tokens[0]:
        raise SimulationError(
            f"the server counts {tokens[1]:.0f} tokens in a prompt of {taken[1]} words and "
            f"{tokens[0]:.0f} in one of {taken[0]}: its `usage` is wrong; measure the engine itself"
        )
    notes.append(
        f"Prompts of up to {tokens[-1]:.0f} tokens were measured; the time of longer ones is "
        f"extended in a straight line, and attention makes them slower than that"
    )
    return tuple(taken)


async def _slots(client: LoadRunner, rng: random.Random, stated: int, notes: list[str]) -> int:
    async def at_once(requests: int) -> int:
        asked = [request(rng, SHORT_PROMPT, DECODED) for _ in range(requests)]
        return overlapping(await answers(client, asked))

    if stated:
        if (found := await at_once(stated)) < stated:
            raise SimulationError(
                f"of {stated} requests at once, {found} decoded side by side: the server has fewer "
                f"slots; leave --slots out to count them, or say --slots {found}"
            )
        return stated
    tried = 4
    while (found := await at_once(tried)) == tried:
        if tried == MOST_SLOTS:
            notes.append(
                f"{tried} requests decoded side by side, and more may: if the server's limit is "
                f"higher, name it with --slots"
            )
            return tried
        tried *= 2
    notes.append(f"The server decodes {found} requests at once")
    return found


async def _long(
    client: LoadRunner,
    rng: random.Random,
    slots: int,
    words: int,
    kv_tokens: int,
    notes: list[str],
) -> tuple[int, int]:
    """The words of the long prompt, and how many requests with it decode side by side."""
    at_once = slots
    while True:
        asked = [request(rng, words, DECODED) for _ in range(at_once)]
        try:
            outcomes = await answers(client, asked)
        except NotTaken:
            if words <= PROMPTS[1]:
                raise
            words //= 2  # the prompt alone has room, and no answer after it
            continue
        found = overlapping(outcomes)
        if kv_tokens:
            found = min(found, kv_tokens // (outcomes[0].prompt_tokens + DECODED))
        if at_once == 1 or (found >= at_once and time_per_token(outcomes) is not None):
            break
        at_once = max(1, min(found, at_once * 4 // 5))
    if at_once < slots:
        notes.append(
            f"{at_once} requests with prompts of {words} words decode at once, of {slots} with "
            f"short ones: KV memory, or the time that prompts take, allows no more at a time. If "
            f"memory does, name its size with --kv-tokens"
        )
    return words, at_once
