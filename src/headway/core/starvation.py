"""The starvation bound: from its due time on, a request is next.

Once a request is due, only requests that were due before it can start before it (`Waiting.next`).
So it waits on for the work that was due earlier and for one slot, however many shorter, higher or
richer requests arrive.
"""

from __future__ import annotations

from headway.core.request import Request
from headway.core.settings import INFINITE, TierSettings


def due_s(request: Request, tier: TierSettings) -> float:
    """When `request` becomes due by its `tier`'s `max_wait_s` or `max_slowdown`, the first of both.

    A wait of (max_slowdown - 1) service times makes the latency max_slowdown service times.
    """
    slack_s = INFINITE
    if tier.max_slowdown < INFINITE:
        slack_s = (tier.max_slowdown - 1.0) * request.service_s
    return request.arrival_s + min(tier.max_wait_s, slack_s)
