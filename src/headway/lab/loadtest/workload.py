"""What is sent, and when: a repeatable list of requests."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from headway.lab.loadtest.arrivals import Arrival, make_arrivals
from headway.lab.loadtest.mix import Mix
from headway.lab.loadtest.prompts import Prompt

CHARACTERS_PER_TOKEN = 4
"""Of English text, roughly: to cut a prompt to the length in a trace."""
MOST_PROMPT_TOKENS = 1024
"""Longer prompts of a trace are cut to this, about."""


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """One request of a load."""

    at_s: float
    """When to send it, in seconds after the start."""
    messages: tuple[dict[str, str], ...]
    max_tokens: int
    tier: str = ""
    """Sent as x-headway-tier unless empty."""
    tenant: str = ""
    """Sent as x-headway-tenant unless empty."""
    expected_tokens: int | None = None
    """Expected length of the answer; sent as x-headway-expected-tokens."""
    ignore_eos: bool = False
    """Produce exactly `max_tokens` (vLLM's and llama.cpp's field of that name)."""
    cache_prompt: bool = True
    """False: compute the whole prompt, cached or not (llama.cpp's field of that name)."""
    repeat_penalty: float = 1.0
    """Above 1 repetition is less likely (llama.cpp's field of that name; Ollama sends 1.1)."""
    count_pieces: bool = False
    """Ask for the tokens so far with every piece (`continuous_usage_stats` of vLLM and SGLang)."""
    temperature: float = 0.0
    """0: greedy, so that every run has the same answers."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests in order of arrival. Equal settings and seeds give equal workloads."""

    requests: tuple[LoadRequest, ...]

    @classmethod
    def build(
        cls,
        prompts: Sequence[Prompt],
        *,
        count: int,
        arrivals: str = "burst",
        rate_scale: float = 1.0,
        max_tokens: int,
        tiers: Mix | None = None,
        tenants: Mix | None = None,
        seed: int = 0,
    ) -> Workload:
        """Draw `count` requests: prompts without repetition while they last.

        A trace with output tokens fixes the length of every answer (at most `max_tokens`),
        and one with prompt tokens fixes the prompts' (about, at most MOST_PROMPT_TOKENS).

        Raises:
            ArrivalsError: `arrivals` cannot be read, see make_arrivals.
        """
        rng = random.Random(seed)
        moments = make_arrivals(arrivals, count, rng, rate_scale)
        deck = _Deck(prompts, rng)
        tier_of = (tiers or Mix({})).deal(len(moments), rng)
        tenant_of = (tenants or Mix({})).deal(len(moments), rng)
        return cls(
            tuple(
                LoadRequest(
                    at_s=moment.at_s,
                    messages=deck.draw(moment).messages,
                    max_tokens=min(max_tokens, max(1, moment.output_tokens or max_tokens)),
                    tier=tier,
                    tenant=tenant,
                    ignore_eos=moment.output_tokens is not None,
                )
                for moment, tier, tenant in zip(moments, tier_of, tenant_of, strict=True)
            )
        )

    def expecting(self, output_tokens: Sequence[int]) -> Workload:
        """The same requests, each with the length of its answer."""
        pairs = zip(self.requests, output_tokens, strict=True)
        return Workload(tuple(replace(r, expected_tokens=max(1, tokens)) for r, tokens in pairs))

    def at_once(self) -> Workload:
        """The same requests, all arriving at the start."""
        return Workload(tuple(replace(request, at_s=0.0) for request in self.requests))


class _Deck:
    """Prompts in random order, reshuffled whenever all were drawn."""

    def __init__(self, prompts: Sequence[Prompt], rng: random.Random) -> None:
        self._prompts = prompts
        self._rng = rng
        self._left: list[Prompt] = []

    def draw(self, arrival: Arrival) -> Prompt:
        if arrival.prompt_tokens is None:
            return self._next()
        characters = min(arrival.prompt_tokens, MOST_PROMPT_TOKENS) * CHARACTERS_PER_TOKEN
        text = ""
        while len(text) < characters:
            text += self._next().text + "\n"
        return Prompt(text[: max(1, characters)])

    def _next(self) -> Prompt:
        if not self._left:
            self._left = self._rng.sample(list(self._prompts), len(self._prompts))
        return self._left.pop()
