"""Servers as people have them, on virtual time: an engine whose profile is known, and what lies
between it and its clients."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import ceil

from tests.lab.simulation import naive

from headway.lab.loadtest.client import RequestResult
from headway.lab.loadtest.workload import LoadRequest, Workload
from headway.lab.simulation.profile import Profile

TEMPLATE = 30
"""Tokens of a prompt beside its words."""


@dataclass
class Server:
    """Answers as `profile` says; everything else is what it does besides."""

    profile: Profile
    usage: bool = True
    stops_after: int = 10**9
    """Tokens after which it ends any answer."""
    reason: str = "length"
    """Why such an answer ended."""
    prompt_limit: int = 10**9
    """Tokens of the longest prompt and its answer."""
    truncates: bool = False
    """Whether longer prompts are cut without a word, else refused."""
    piece: int = 1
    """Tokens of each piece of text after the first."""
    counts: bool = False
    """Whether every piece comes with the tokens so far."""
    silent: int = 0
    """Tokens at the end that have no text."""
    hidden: int = 0
    """Tokens at the beginning that are counted and not sent."""
    buffered: int = 0
    """Tokens that a proxy holds back and sends at once; 0: none."""
    away_s: float = 0.0
    """Time of each request outside of the engine: network, proxies."""
    noise_s: float = 0.0
    """Largest delay of a token on its way."""
    slower: Callable[[int], float] = lambda _: 1.0
    """How much slower it is from the n-th batch of requests on."""
    limit: int = 10**9
    """Requests at once above which it answers 429."""
    caches: bool = False
    """Whether prompts are cached, by their beginnings."""
    reports_cached: bool = False
    refuses: str = ""
    """A field that it does not take."""
    sent: list[LoadRequest] = field(default_factory=list)
    batches: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    known: list[list[str]] = field(default_factory=list)
    """Prompts that are cached."""

    async def run(self, workload: Workload, at_once: int = 0) -> list[RequestResult]:
        self.sent.extend(workload.requests)
        self.batches += 1
        factor = self.slower(self.batches)
        profile = self.profile.slower(factor)
        profile = replace(profile, request_s=profile.request_s + self.away_s)
        results = [RequestResult(request, sent_s=request.at_s) for request in workload.requests]
        pieces = {}
        for place, result in enumerate(results):
            self._refuse(result, len(results))
            if not result.error:
                pieces[place] = self._piece(result)
        naive.run(profile, list(pieces.values()), at_once)
        for place, piece in pieces.items():
            self._answer(results[place], piece)
        return results

    def _refuse(self, result: RequestResult, beside: int) -> None:
        tokens = self._words(result.request) + TEMPLATE + result.request.max_tokens
        if beside > self.limit:
            result.status, result.error = 429, "429: too many requests"
        elif tokens > self.prompt_limit and not self.truncates:
            result.status, result.error = 400, "400: this model's maximum context length is less"
        elif self.refuses:
            result.status, result.error = 400, f"400: unknown field {self.refuses}"

    def _words(self, request: LoadRequest) -> int:
        return len(request.messages[-1]["content"].split())

    def _piece(self, result: RequestResult) -> naive.Piece:
        request = result.request
        tokens = min(self._words(request) + TEMPLATE, self.prompt_limit - request.max_tokens)
        output = min(request.max_tokens, self.stops_after)
        result.prompt_tokens, result.output_tokens = tokens, output
        words = request.messages[-1]["content"].split()
        cached = 0
        if self.caches:
            shared = [sum(1 for _ in _alike(words, known)) for known in self.known]
            cached = min(tokens - 1, TEMPLATE + max(shared)) if shared else 0
            self.known.append(words)
        if self.reports_cached:
            result.cached_tokens = cached
        return naive.Piece(request.at_s, tokens - cached, output)

    def _answer(self, result: RequestResult, piece: naive.Piece) -> None:
        at_s = result.request.at_s
        times = [time_s - at_s for time_s in piece.token_s]
        result.latency_s = times[-1]
        ended = piece.output_tokens < result.request.max_tokens
        result.finish_reason = self.reason if ended else "length"
        silent = self.silent if len(times) > 1 else 0
        shown = list(enumerate(times, start=1))[self.hidden : len(times) - silent]
        result.reasoning_tokens = min(self.hidden, len(times))
        if self.piece > 1:
            shown = [one for one in shown if (one[0] - 1) % self.piece == 0 or one == shown[-1]]
        if self.buffered:
            last = len(shown) - 1
            shown = [
                (count, shown[min(last, ceil((n + 1) / self.buffered) * self.buffered - 1)][1])
                for n, (count, _) in enumerate(shown)
            ]
        late_s = [self.rng.random() * self.noise_s for _ in shown]
        result.token_s = sorted(time + late for (_, time), late in zip(shown, late_s, strict=True))
        result.latency_s = max([result.latency_s, *result.token_s])
        result.counted = [count if self.counts else 0 for count, _ in shown]
        result.ttft_s = result.token_s[0] if shown else result.latency_s
        result.text = "word " * len(shown)
        if not self.usage:
            result.prompt_tokens = result.cached_tokens = 0
            result.output_tokens, result.counted = len(shown), [0] * len(shown)


def _alike(words: list[str], others: list[str]) -> list[str]:
    shared = []
    for word, other in zip(words, others, strict=False):
        if word != other:
            break
        shared.append(word)
    return shared
