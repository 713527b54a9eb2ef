"""Seconds from tokens: the one place where work is turned into time."""

from __future__ import annotations

from dataclasses import dataclass

from headway.core.request import Request


@dataclass(frozen=True, slots=True)
class CostModel:
    """Linear cost of one request on one backend at its usual batch.

    Two things follow from it: how long a request takes, and how much work it is, in seconds of a
    slot. They differ in the prompt, which may hold up others than its own slot.
    """

    prefill_s_per_token: float = 0.0005
    """Until a prompt token is computed, cached ones excluded."""
    decode_s_per_token: float = 0.02
    preempt_s: float = 0.05
    """What stopping and resuming one request costs, whatever its length: a step or two."""
    recompute_share: float = 0.0
    """Part of a stopped request's context that is computed again when it goes on: 0 where the
    engine keeps it, up to 1 where others need the memory meanwhile."""
    held_slots: float = 1.0
    """Slots that a prompt token takes its time of: where prompts and answers are computed in the
    same iterations, all of them."""

    def prefill_s(self, request: Request) -> float:
        """Time before its first token, cached prefix excluded."""
        uncached = request.prompt_tokens - request.cached_tokens
        return self.prefill_s_per_token * uncached if uncached > 0 else 0.0

    def duration_s(self, request: Request) -> float:
        """Expected time still to come once it runs; prefill counts only before the first token."""
        left_s = self.decode_s_per_token * request.remaining_tokens
        return left_s if request.output_tokens > 0 else left_s + self.prefill_s(request)

    def whole_s(self, request: Request) -> float:
        """Expected time from start to end, of which a part may be over."""
        tokens = max(request.estimate.mean, request.output_tokens)
        return self.prefill_s(request) + self.decode_s_per_token * tokens

    def prefill_work_s(self, request: Request) -> float:
        """Work of its prompt."""
        return self.held_slots * self.prefill_s(request)

    def service_s(self, request: Request) -> float:
        """Expected work from start to end."""
        return self.prefill_work_s(request) + self.decode_s_per_token * request.estimate.mean

    def remaining_s(self, request: Request) -> float:
        """Expected work still to come; prefill counts only before the first token."""
        produced = request.output_tokens
        if produced <= 0:
            return self.service_s(request)
        return self.decode_s_per_token * request.estimate.remaining_mean(produced)

    def stop_s(self, request: Request) -> float:
        """Work of stopping `request` and going on with it later."""
        context_s = self.prefill_s_per_token * (request.prompt_tokens + request.output_tokens)
        return self.preempt_s + self.recompute_share * self.held_slots * context_s

    def attained_s(self, request: Request) -> float:
        """Work done so far, prefill included (also while it only waits for it)."""
        # `prefill_work_s`, but without calls: it is asked of all that run.
        uncached = request.prompt_tokens - request.cached_tokens
        prefill_s = self.prefill_s_per_token * uncached if uncached > 0 else 0.0
        return self.held_slots * prefill_s + self.decode_s_per_token * request.output_tokens
