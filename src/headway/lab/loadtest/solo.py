"""How long a request takes alone on an idle server: the denominator of slowdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import linear_regression, mean, median

from headway.lab.loadtest.client import LoadClient, RequestResult, ServerError
from headway.lab.loadtest.workload import Workload

WARM_UP_TOKENS = 32


@dataclass(frozen=True, slots=True)
class SoloTime:
    """Service time of a request alone on the server, as a straight line."""

    base_s: float
    prefill_s_per_token: float
    decode_s_per_token: float

    def ttft_s(self, prompt_tokens: int) -> float:
        """Time to first token."""
        return self.base_s + self.prefill_s_per_token * prompt_tokens

    def service_s(self, prompt_tokens: int, output_tokens: int) -> float:
        """From arrival to the last token."""
        decode_s = self.decode_s_per_token * max(0, output_tokens - 1)
        return self.ttft_s(prompt_tokens) + decode_s

    @classmethod
    def fit(cls, outcomes: Sequence[RequestResult]) -> SoloTime:
        """From complete answers that were measured one at a time, at least one."""
        prompts = [outcome.prompt_tokens for outcome in outcomes]
        ttfts = [outcome.ttft_s or 0.0 for outcome in outcomes]
        slope_s, base_s = 0.0, mean(ttfts)
        if len(set(prompts)) > 1:
            slope_s, base_s = linear_regression(prompts, ttfts)
            if slope_s < 0 or base_s < 0:  # noise is larger than the effect
                slope_s, base_s = 0.0, mean(ttfts)
        decode = [
            (outcome.latency_s - (outcome.ttft_s or 0.0)) / (outcome.output_tokens - 1)
            for outcome in outcomes
            if outcome.output_tokens > 1
        ]
        return cls(base_s, slope_s, median(decode) if decode else 0.0)


async def warm_up(client: LoadClient, workload: Workload) -> list[RequestResult]:
    """Send four requests of the load one by one, from the shortest prompt to the longest.

    One more before them is not counted: it warms the server up.

    Raises:
        ServerError: one of them was not answered.
    """
    by_length = sorted(
        workload.requests, key=lambda request: sum(len(m["content"]) for m in request.messages)
    )
    last = len(by_length) - 1
    outcomes = []
    for place in (last // 2, 0, last // 3, last * 2 // 3, last):
        request = by_length[place]
        alone = replace(
            request,
            at_s=0.0,
            tier="",
            max_tokens=min(WARM_UP_TOKENS, request.max_tokens),
            expected_tokens=None,
        )
        outcome = await client.send(alone)
        if not outcome.ok:
            raise ServerError(f"the server does not answer: {outcome.error}")
        outcomes.append(outcome)
    return outcomes[1:]
