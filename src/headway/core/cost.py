"""Seconds from tokens: the one place that turns work into time."""

from __future__ import annotations

from dataclasses import dataclass

from headway.core.request import Request


@dataclass(frozen=True, slots=True)
class CostModel:
    """Linear cost of one request on one backend at its usual batch size.

    It gives the time that a request takes and its work, in seconds of a slot. The two differ in the
    prompt, which may delay other slots too.
    """

    prefill_s_per_token: float = 0.0005
    """Time to compute a prompt token that is not cached."""
    decode_s_per_token: float = 0.02
    preempt_s: float = 0.05
    """Cost of stopping and resuming a request of any length: a step or two."""
    recompute_share: float = 0.0
    """Share of a stopped request's context that is computed again when it resumes: 0 if the engine
    keeps it, up to 1 if other requests need the memory meanwhile."""
    held_slots: float = 1.0
    """Number of slots that one prompt token delays: all of them if the engine computes prompts and
    answers in the same iterations."""

    def prefill_s(self, request: Request) -> float:
        """Time before its first token, without the cached prefix."""
        uncached = request.prompt_tokens - request.cached_tokens
        return self.prefill_s_per_token * uncached if uncached > 0 else 0.0

    def duration_s(self, request: Request) -> float:
        """Expected remaining time once it runs; prefill counts only before the first token."""
        left_s = self.decode_s_per_token * request.remaining_tokens
        return left_s if request.output_tokens > 0 else left_s + self.prefill_s(request)

    def whole_s(self, request: Request) -> float:
        """Expected time from start to end, including the part that is over."""
        tokens = max(request.estimate.mean, request.output_tokens)
        return self.prefill_s(request) + self.decode_s_per_token * tokens

    def prefill_work_s(self, request: Request) -> float:
        """Work of its prompt."""
        return self.held_slots * self.prefill_s(request)

    def service_s(self, request: Request) -> float:
        """Expected work from start to end."""
        return self.prefill_work_s(request) + self.decode_s_per_token * request.estimate.mean

    def remaining_s(self, request: Request) -> float:
        """Expected remaining work; prefill counts only before the first token."""
        produced = request.output_tokens
        if produced <= 0:
            return self.service_s(request)
        return self.decode_s_per_token * request.estimate.remaining_mean(produced)

    def recompute_s(self, request: Request) -> float:
        """Work of computing the context of `request` again after a stop."""
        context_s = self.prefill_s_per_token * (request.prompt_tokens + request.output_tokens)
        return self.recompute_share * self.held_slots * context_s

    def stop_s(self, request: Request) -> float:
        """Work of stopping `request` and resuming it later."""
        return self.preempt_s + self.recompute_s(request)

    def attained_s(self, request: Request) -> float:
        """Work done so far. Includes the whole prefill, even before it is done."""
        # `prefill_work_s` without calls: this is computed for every running request.
        uncached = request.prompt_tokens - request.cached_tokens
        prefill_s = self.prefill_s_per_token * uncached if uncached > 0 else 0.0
        return self.held_slots * prefill_s + self.decode_s_per_token * request.output_tokens
