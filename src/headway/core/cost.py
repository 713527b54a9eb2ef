"""Seconds from tokens: the one place where work is turned into time."""

from __future__ import annotations

from dataclasses import dataclass

from headway.core.request import Request


@dataclass(frozen=True, slots=True)
class CostModel:
    """Linear cost of one request on one backend at its usual batch.

    Job size is uncached prefill plus predicted decode, in seconds.
    """

    prefill_s_per_token: float = 0.0005
    decode_s_per_token: float = 0.02
    preempt_s: float = 0.05
    """What stopping and resuming one request costs, whatever its length: a step or two."""
    recompute_share: float = 0.0
    """Part of a stopped request's context that is computed again when it goes on: 0 where the
    engine keeps it, up to 1 where others need the memory meanwhile."""

    def prefill_s(self, request: Request) -> float:
        """Time before its first token, cached prefix excluded."""
        return self.prefill_s_per_token * max(0, request.prompt_tokens - request.cached_tokens)

    def service_s(self, request: Request) -> float:
        """Expected service time from start to end, alone on a slot."""
        return self.prefill_s(request) + self.decode_s_per_token * request.estimate.mean

    def remaining_s(self, request: Request) -> float:
        """Expected service time still to come; prefill counts only before the first token."""
        if request.output_tokens <= 0:
            return self.service_s(request)
        return self.decode_s_per_token * request.remaining_tokens

    def stop_s(self, request: Request) -> float:
        """What stopping `request` and going on with it later costs."""
        context = request.prompt_tokens + request.output_tokens
        return self.preempt_s + self.recompute_share * self.prefill_s_per_token * context

    def attained_s(self, request: Request) -> float:
        """Service received so far, prefill included (also while it only waits for it)."""
        return self.prefill_s(request) + self.decode_s_per_token * request.output_tokens
