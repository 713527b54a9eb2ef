"""How long a request would wait, predicted from what is ahead of it."""

from __future__ import annotations

from collections.abc import Sequence

from headway.core.backend import Backend
from headway.core.policies.policy import Policy
from headway.core.preemption import PreemptionRule
from headway.core.request import Request, Tier
from headway.core.waiting import Waiting

SAMPLED_REQUESTS = 64
"""Waiting requests of a tier looked at to predict a wait."""


def predicted_wait_s(
    request: Request,
    serving: Sequence[Backend],
    lane: Waiting | None,
    policy: Policy,
    preemption: PreemptionRule,
) -> float:
    """Predicted time until `request`, added now, would start on one of `serving`.

    The work that is ahead of it, over the slots: what runs (unless it would give way), higher
    tiers, and what the policy ranks before it in `lane`, counted on a sample of the queue.
    """
    free = any(backend.has_room_for(request) for backend in serving)
    if free and (lane is None or not lane.count):
        return 0.0
    ahead_s = sum(
        backend.cost.remaining_s(running)
        for backend in serving
        for running in backend.running.values()
        if not preemption.would_yield(running, request)
    )
    if lane is not None:
        rank = policy.rank(request)
        for tier in Tier:
            if tier > request.tier or not lane.in_tier(tier):
                continue
            sample = lane.sample(tier, SAMPLED_REQUESTS)
            before_s = sum(
                other.queued_work_s
                for other in sample
                if tier < request.tier or policy.rank(other) <= rank
            )
            ahead_s += before_s * lane.in_tier(tier) / max(1, len(sample))
    return ahead_s / max(1, sum(backend.slots for backend in serving))
