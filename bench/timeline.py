"""Requests sent one after another or side by side, with their tokens on one common clock."""

from __future__ import annotations

import time
from dataclasses import replace

from headway.lab.loadtest.client import LoadClient, RequestResult
from headway.lab.loadtest.workload import LoadRequest


class Timeline:
    """Sends requests through one client and keeps every outcome, by seconds since it began."""

    def __init__(self, client: LoadClient) -> None:
        self._client = client
        self._start_s = time.monotonic()
        self.outcomes: list[RequestResult] = []

    @property
    def now_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._start_s

    async def send(self, request: LoadRequest) -> RequestResult:
        """Send `request` now, and wait for its end."""
        outcome = await self._client.send(replace(request, at_s=self.now_s), self._start_s)
        self.outcomes.append(outcome)
        return outcome

    def token_times_s(self) -> list[float]:
        """When each piece of text came, over all requests, in order."""
        return sorted(
            outcome.request.at_s + at_s for outcome in self.outcomes for at_s in outcome.token_s
        )

    def tokens_between(self, begin_s: float, end_s: float) -> float:
        """Output tokens that came in that time."""
        tokens = 0.0
        for outcome in self.outcomes:
            if outcome.token_s:
                share = outcome.output_tokens / len(outcome.token_s)
                at_s = outcome.request.at_s
                tokens += share * sum(begin_s <= at_s + t < end_s for t in outcome.token_s)
        return tokens
