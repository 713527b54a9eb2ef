"""Tokens that a request used, as far as it came."""

from __future__ import annotations

from headway.core.request import Request
from headway.gateway.work.work import Work
from headway.prices.tokens import Tokens
from headway.store.request_record import Outcome


def used_tokens(work: Work, outcome: Outcome) -> Tokens:
    """Tokens of `work` that count against rates and budgets, and are paid.

    By the backend's count, if there is one. A prompt counts once it was sent, even if its client
    leaves. A failed request without output does not count.
    """
    request, output = work.request, work.output_tokens
    if request.started_s < 0.0 or (outcome == "failed" and not output):
        return Tokens()
    if outcome == "cancelled" and not work.stream and work.generation is None:
        # The answer was not streamed: how far it came is not known.
        output = round(predicted_tokens(request))
    return Tokens(work.prompt_tokens, work.served.cached_tokens or 0, output)


def predicted_tokens(request: Request) -> float:
    """Output tokens predicted before the first token; later estimates know part of the answer."""
    # A request that was rejected before the scheduler saw it has only its first estimate.
    return request.predicted_tokens or request.estimate.mean
