"""Answers to probes: refused where they do not show what the engine does."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from headway.lab.loadtest.client import RequestResult
from headway.lab.loadtest.workload import LoadRequest, Workload
from headway.lab.simulation.errors import SimulationError

_WORDS = (
    "time person year way day thing man world life hand part child eye woman place work week "
    "case point government company number group problem fact river stone cloud garden window"
)
WORDS = _WORDS.split()
SHORTER = 0.5
"""Share of the tokens asked for that an answer must have."""
NEAR = 0.2
"""Pieces of text closer than this share of a token's mean time came together."""
TEXTLESS = 0.15
"""How far the time after the last piece may be from that of the tokens that are missing."""


class LoadRunner(Protocol):
    """A client of the server, as `LoadClient` is."""

    async def run(self, workload: Workload, *, at_once: int = 0) -> list[RequestResult]:
        """Send every request at its time, at most `at_once` at once."""
        ...


class NotTaken(SimulationError):
    """The server does not take such a request.

    Args:
        reason: what it says.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the server does not take a probe ({reason}); it needs `ignore_eos`, as vLLM, SGLang, "
            f"llama.cpp and Headway have it, and room for prompts of a few hundred tokens"
        )
        self.reason = reason


def request(rng: random.Random, words: int, tokens: int, at_s: float = 0.0) -> LoadRequest:
    """A prompt of random words, unlike any other, with an answer of so many tokens."""
    text = " ".join(rng.choice(WORDS) for _ in range(words))
    messages = ({"role": "user", "content": text},)
    return LoadRequest(
        at_s, messages, tokens, ignore_eos=True, cache_prompt=False, count_pieces=True
    )


async def answers(
    client: LoadRunner, requests: Sequence[LoadRequest], at_once: int = 0, timed: bool = True
) -> list[RequestResult]:
    """Send `requests`, at most `at_once` at once, and return the outcomes.

    Args:
        client: of the server.
        requests: what to send.
        at_once: 0: any number.
        timed: whether the times of single tokens are needed.

    Raises:
        NotTaken: the server does not take one of them.
        SimulationError: it does not answer, or as no engine can be measured by.
    """
    outcomes = await client.run(Workload(tuple(requests)), at_once=at_once)
    for outcome in outcomes:
        _check(outcome)
        if timed and outcome.request.max_tokens > 1 and not outcome.token_s:
            raise SimulationError(
                f"an answer of {outcome.output_tokens} tokens has no text: the server does not "
                f"send its reasoning; switch reasoning off, or let it be sent"
            )
    return outcomes


def _check(outcome: RequestResult) -> None:
    asked, tokens = outcome.request.max_tokens, outcome.output_tokens
    if outcome.status in (429, 503):
        raise SimulationError(
            f"the server limits how much it takes ({outcome.error}): measure the engine itself, "
            f"without a rate limit, or name fewer --slots"
        )
    if outcome.status in (400, 413, 422):
        raise NotTaken(outcome.error)
    if not outcome.ok:
        raise SimulationError(f"a probe was not answered: {outcome.error}")
    if not outcome.prompt_tokens or not tokens:
        raise SimulationError(
            "the server does not say how many tokens a stream had (`usage` with "
            "`stream_options.include_usage`), and nothing can be measured without; measure the "
            "engine itself, or update it"
        )
    if tokens < SHORTER * asked and outcome.finish_reason == "length":
        raise SimulationError(
            f"answers end after {tokens} of {asked} tokens: the server limits them; raise its limit"
        )
    if tokens < SHORTER * asked:
        raise SimulationError(
            f"an answer ended by itself after {tokens} of {asked} tokens: the server ignores "
            f"`ignore_eos`, as Ollama and hosted APIs do; serve the model with vLLM, SGLang or "
            f"llama.cpp to measure it"
        )


@dataclass(frozen=True, slots=True)
class Arrival:
    """Tokens that came together."""

    at_s: float
    tokens: int
    """Of the answer, up to and with these."""


def arrivals_of(outcome: RequestResult) -> list[Arrival]:
    """When the tokens of an answer came, as far as its pieces of text say so.

    A piece may hold several tokens, as with speculative decoding, and a token may have no text, as
    special ones. Where the server does not count, pieces are a token each if that explains how long
    the answer took, else they hold equally many.
    """
    times, tokens = outcome.token_s, outcome.output_tokens
    token_s = (outcome.latency_s - times[0]) / max(1, tokens - 1)
    counts = [float(count) for count in outcome.counted]
    if not all(counts) or not counts:
        counts = [1.0 + n * _tokens_per_piece(outcome) for n in range(len(times))]
    found: list[Arrival] = []
    for at_s, count in zip(times, counts, strict=True):
        if found and at_s - found[-1].at_s < NEAR * token_s:
            found[-1] = Arrival(found[-1].at_s, round(count))
        else:
            found.append(Arrival(at_s, round(count)))
    return found


def _tokens_per_piece(outcome: RequestResult) -> float:
    times, tokens = outcome.token_s, outcome.output_tokens
    after = len(times) - 1
    if after < 1:
        return 1.0
    piece_s = (times[-1] - times[0]) / after
    textless = (outcome.latency_s - times[-1]) / max(piece_s, 1e-9)
    if abs(len(times) + textless - tokens) <= TEXTLESS * tokens:
        return 1.0
    return (tokens - 1) / after


def computed_tokens(outcome: RequestResult) -> int:
    """The tokens of its prompt that were computed, as far as the server says so."""
    return max(1, outcome.prompt_tokens - outcome.cached_tokens)


def tokens_together(outcome: RequestResult) -> float:
    """How many tokens of an answer came at a time, on average."""
    found = arrivals_of(outcome)
    return found[-1].tokens / len(found)


def overlapping(outcomes: Sequence[RequestResult]) -> int:
    """The most requests that were between their first and their last text at one moment."""
    moments = sorted(
        [(one.request.at_s + one.token_s[0], 1) for one in outcomes]
        + [(one.request.at_s + one.token_s[-1], -1) for one in outcomes]
    )
    most = now = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most


def time_per_token(outcomes: Sequence[RequestResult]) -> float | None:
    """Seconds per token of requests while all of them decode; None if they never do.

    From the last first token to the first last one.
    """
    begin_s = max(outcome.token_s[0] for outcome in outcomes)
    end_s = min(outcome.token_s[-1] for outcome in outcomes)
    found = []
    for outcome in outcomes:
        inside = [one for one in arrivals_of(outcome) if begin_s <= one.at_s <= end_s]
        if len(inside) > 2 and inside[-1].tokens > inside[0].tokens:
            spent_s = inside[-1].at_s - inside[0].at_s
            found.append(spent_s / (inside[-1].tokens - inside[0].tokens))
    return median(found) if found else None
