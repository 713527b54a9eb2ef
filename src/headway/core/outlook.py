"""How long requests will wait, and why."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from headway.core.backend import Backend
from headway.core.backends import Backends
from headway.core.lanes import Lanes
from headway.core.policy_in_use import PolicyInUse
from headway.core.preemption import PreemptionRule
from headway.core.request import Request, State, Tier

SAMPLED_REQUESTS = 64
"""Number of waiting requests of a tier that are sampled to predict a wait."""


class Before(NamedTuple):
    """The waiting requests of a tier that start before a certain one."""

    tier: Tier
    requests: float
    work_s: float


class Prospect(NamedTuple):
    """What is predicted for a request that waits."""

    wait_s: float | None
    """Until it would start; None: no backend is there that serves its model."""
    ahead: int
    """How many wait before it."""


class Outlook:
    """Predicts waits, and explains them.

    Args:
        lanes: all waiting requests.
        backends: all running requests.
        preemption: which running requests would yield, and the policy.
        policies: the others that could be used.
    """

    def __init__(
        self, lanes: Lanes, backends: Backends, preemption: PreemptionRule, policies: PolicyInUse
    ) -> None:
        self._lanes = lanes
        self._backends = backends
        self._preemption = preemption
        self._policies = policies

    def under(self, name: str) -> Outlook:
        """The outlook as it would be if the policy `name` were used from now on.

        Raises:
            ValueError: there is no policy `name`.
        """
        rule, policy = self._preemption, self._policies.as_if_used(name, self._backends.slots)
        rule = PreemptionRule(rule.settings, policy, rule.tiers_preempt)
        return Outlook(self._lanes, self._backends, rule, self._policies)

    def backlog_s(self, tier: Tier | None = None) -> float:
        """Predicted time to serve all waiting requests, or those of `tier`, with every slot."""
        return self._lanes.backlog.work_s(tier) / max(1, self._backends.slots)

    def predicted_wait_s(self, request: Request) -> float:
        """Predicted time until `request` would start, if it were added now.

        Where no backend is there it is as if one came now.

        The slots of its lane end what runs (unless that would yield), then do what goes before it:
        higher tiers, and what the policy ranks before it, estimated from a sample of the queue.
        """
        return 0.0 if self._at_once(request) else self._wait_s(request, self._before(request))

    def prospect(self, request: Request) -> Prospect:
        """Return `predicted_wait_s` and how many of its lane wait before it, by tier and rank.

        Both are estimated from one sample of the queue; exact if fewer wait.
        """
        before = self._before(request)
        wait_s: float | None = None
        if self._is_served(request):
            wait_s = 0.0 if self._at_once(request) else self._wait_s(request, before)
        return Prospect(wait_s, round(sum(one.requests for one in before)))

    def _is_served(self, request: Request) -> bool:
        """Whether a backend is there that serves its model."""
        return any(backend.slots for backend in self._backends.of_lane(request.lane))

    def _at_once(self, request: Request) -> bool:
        """Whether there is a free slot for it, and nobody waits for that."""
        queue = self._lanes.queues.get(request.lane)
        if queue is not None and queue.count:
            return False
        serving = self._backends.of_lane(request.lane)
        return any(backend.may_have_room_for(request) for backend in serving)

    def _wait_s(self, request: Request, before: list[Before]) -> float:
        serving = self._backends.of_lane(request.lane)
        busy_s = [end_s for backend in serving for end_s in self._busy_s(backend, request)]
        # A slot that is free although requests wait is not for them: memory, a cap or another
        # gateway has it.
        busy_s = busy_s or [0.0] * sum(backend.slots for backend in serving)
        return _filled_to_s(busy_s, sum(one.work_s for one in before))

    def _busy_s(self, backend: Backend, request: Request) -> list[float]:
        """For how long the slots in use are not for `request`; those that nobody gets after their
        present run are left out."""
        found = sorted(
            0.0 if self._preemption.would_yield(one, request) else backend.cost.remaining_s(one)
            for one in backend.running.values()
        )
        return found[max(0, len(found) - backend.slots) :]

    def place(self, request: Request) -> tuple[Tier, float, int]:
        """The order of waiting requests, as far as it does not change with time: by tier, then by
        the policy's rank, then by arrival. Holds while the request's `ticket` stays the same."""
        return request.tier, self._preemption.policy.rank(request), request.sequence

    def explain(self, request: Request, now_s: float, ahead: tuple[int, int] | None = None) -> str:
        """Why `request` runs or waits, in one sentence.

        Args:
            request: waits or runs.
            now_s: the time.
            ahead: how many wait before it because they are due or of higher tiers, and how many
                others of its own; None: to be estimated, of its lane only.
        """
        if request.state is State.RUNNING:
            return f"runs on {request.backend} for {now_s - request.resumed_s:.1f} s"
        if not self._is_served(request):
            return "waits for a backend that serves its model"
        running = self._backends.running
        if not running.tier_ok(request.tier):
            return f"waits: tier {request.tier.label} runs at its cap"
        if not running.tenant_ok(request.tenant):
            return f"waits: tenant {request.tenant} runs at its cap"
        if request.due_s <= now_s:
            return "waits for the next slot: it is due by its starvation bound"
        before = self._before(request)
        if ahead is None:
            of_own = sum(round(one.requests) for one in before if one.tier is request.tier)
            ahead = sum(round(one.requests) for one in before) - of_own, of_own
        others, own = ahead
        policy, wait_s = self._preemption.policy.name, self._wait_s(request, before)
        behind = [f"{others} of higher tiers or past their bound"] if others else []
        behind += [f"{own} of tier {request.tier.label} by {policy}"] if own else []
        place = f"behind {' and '.join(behind)}" if behind else "for the next slot, first in line"
        return f"waits {place}; starts in about {wait_s:.1f} s"

    def _before(self, request: Request) -> list[Before]:
        """What waits and starts before `request`, by tier.

        Estimated from a sample; exact if fewer wait.
        """
        rank_of = self._preemption.policy.rank
        place = rank_of(request), request.sequence or inf
        found = []
        for tier, waiting, sample in self._samples(request):
            before = [
                other
                for other in sample
                if tier < request.tier or (rank_of(other), other.sequence) < place
            ]
            share = waiting / max(1, len(sample))
            work_s = sum(other.queued_work_s for other in before)
            found.append(Before(tier, len(before) * share, work_s * share))
        return found

    def _samples(self, request: Request) -> list[tuple[Tier, int, list[Request]]]:
        """For each tier of its lane not below that of `request`: the number of waiting requests,
        and a sample of them."""
        queue = self._lanes.queues.get(request.lane)
        if queue is None:
            return []
        return [
            (tier, waiting, queue.sample(tier, SAMPLED_REQUESTS))
            for tier in Tier
            if tier <= request.tier and (waiting := queue.in_tier(tier))
        ]


def _filled_to_s(busy_s: list[float], work_s: float) -> float:
    """When a slot is free, if slots are busy for `busy_s` and do `work_s` before.

    Each request goes to the slot that is free first, so that the slots fill up to one level, as
    vessels do: one that is busy for longer takes nothing.
    """
    filled_s = 0.0
    for slots, level_s in enumerate(sorted(busy_s)):
        if level_s * slots >= filled_s + work_s:
            return (filled_s + work_s) / slots if slots else level_s
        filled_s += level_s
    return (filled_s + work_s) / max(1, len(busy_s))
