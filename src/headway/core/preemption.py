"""Whether a running request should give its slot to a waiting one."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from headway.core.backend import Backend
from headway.core.exchange import Exchange
from headway.core.policies.policy import Policy
from headway.core.request import Request, Tier
from headway.core.rescue import rescues
from headway.core.settings import INFINITE, PreemptionSettings

LEAST_GAIN = 2.0
"""Where the order alone decides, a preemption must gain this many times what it costs."""

Candidate = tuple[int, float, int, Request, Backend]
"""Tier, rank and sequence number of a running request, all negated; the request; its backend."""


class PreemptionRule:
    """Finds the request to stop, if the gain is worth the cost.

    A policy by length preempts to save time, so within a tier it is the `Exchange` that says
    whether a preemption does. Higher tiers, due requests and other policies go by their order.

    Args:
        settings: the operator's limits.
        policy: computes the gain within a tier; may be replaced.
        tiers_preempt: whether a higher tier takes slots from a lower one.
    """

    def __init__(self, settings: PreemptionSettings, policy: Policy, tiers_preempt: bool) -> None:
        self.settings = settings
        self.policy = policy
        self.tiers_preempt = tiers_preempt

    @property
    def possible(self) -> bool:
        """Whether these settings ever allow a preemption."""
        return self.settings.enabled and (self.tiers_preempt or self.policy.preemptive)

    def would_yield(self, running: Request, waiting: Request) -> bool:
        """Whether `running` would yield to `waiting` if that cost nothing."""
        if not self.possible or not self._may_take_from(running, waiting):
            return False
        return self._gain_s(waiting, running) > 0.0

    def candidates(
        self, backends: Iterable[Backend], waiting: Request, now_s: float
    ) -> list[Candidate]:
        """Running requests that may be stopped now, as a heap: the lowest tier and the last rank
        come first.

        Skips requests that would yield neither to `waiting` nor to anything less urgent: unless
        `waiting` is due, those of its tier or a higher one that are not ranked behind it.
        """
        before = -INFINITE if waiting.due_s <= now_s else self.policy.rank(waiting)
        return self.stoppable(backends, now_s, waiting.tier, before)

    def stoppable(
        self,
        backends: Iterable[Backend],
        now_s: float,
        tier: Tier = Tier.INTERACTIVE,
        before: float = -INFINITE,
    ) -> list[Candidate]:
        """The same for any waiting request of `tier` that is ranked `before`."""
        # One loop with no calls but the rank: it runs on most arrivals.
        limits, rank = self.settings, self.policy.rank
        rested_s, most = now_s - limits.min_run_s, limits.max_preemptions
        limit_c = limits.trail_c if limits.trail_c is not None else self.policy.limit_c
        found: list[Candidate] = []
        for backend in backends:
            # Skip a backend with too few slots: a slot freed there is not for others.
            if not backend.slots or len(backend.running) > min(backend.slots, backend.granted):
                continue
            for running in backend.running.values():
                tokens = running.output_tokens
                # What was computed in pieces stays in the cache: a stop loses next to nothing.
                yields = backend.piecewise and running.tier > tier
                if running.resumed_s > rested_s and not yields:
                    continue
                begins = tokens <= running.resumed_tokens
                if begins and not (yields and running.in_pieces):
                    continue  # every run produces at least one token, lest its prefill be lost
                if running.due_s <= now_s or running.preemptions >= most:
                    continue  # it has waited enough, and runs to its end
                if limit_c is not None and tokens >= limit_c * running.predicted_tokens:
                    continue
                place = rank(running)
                if place <= before and running.tier <= tier:
                    continue
                if begins:
                    place = INFINITE  # between two pieces the engine need not even be stopped
                found.append((-running.tier, -place, -running.sequence, running, backend))
        heapify(found)  # no two have one sequence number
        return found

    def victim(
        self, waiting: Request, candidates: list[Candidate], exchange: Exchange, now_s: float
    ) -> Request | None:
        """Take the request to stop for `waiting` out of `candidates`; None: no request yields.

        `exchange` is that of the lane of `waiting`.
        """
        due = waiting.due_s <= now_s
        chosen: Request | None = None
        passed_over: list[Candidate] = []
        while candidates and chosen is None:
            _, _, _, running, backend = candidates[0]
            may = self._may_take_from(running, waiting)
            gain_s = INFINITE if due or not may else self._gain_s(waiting, running)
            if gain_s <= 0.0:
                break  # requests ranked before it hardly ever yield either (see `ltr`)
            candidate = heappop(candidates)
            if may and self._pays(gain_s, waiting, running, backend, exchange, now_s):
                chosen = running
            else:
                passed_over.append(candidate)
        for candidate in passed_over:
            heappush(candidates, candidate)
        return chosen

    def bar(self, running: Request, backend: Backend) -> float | None:
        """The rank that a waiting request of its tier must be before to take the slot of `running`;
        None: none can. For policies that do not go by length."""
        if not self.policy.preemptive:
            return None
        return self.policy.bar(running, LEAST_GAIN * backend.cost.stop_s(running))

    def _pays(
        self,
        gain_s: float,
        waiting: Request,
        running: Request,
        backend: Backend,
        exchange: Exchange,
        now_s: float,
    ) -> bool:
        """Whether the gain exceeds the cost of stopping `running`."""
        if not backend.has_room_without(running, waiting):
            return False
        if self.policy.by_length and gain_s < INFINITE:
            return exchange.pays(running, waiting, backend)
        if self.policy.by_deadline and running.tier == waiting.tier and waiting.due_s > now_s:
            next_slot_s, cost = exchange.next_slot_s, self.policy.cost
            if not rescues(waiting, running, backend, cost, next_slot_s, now_s):
                return False
        elif not gain_s > LEAST_GAIN * backend.cost.stop_s(running):
            return False  # or it is not a number, as between infinite ranks
        return not frees_its_slot_soon(running, backend)

    def _may_take_from(self, running: Request, waiting: Request) -> bool:
        """Whether requests of `waiting`'s tier may ever take the slot of `running`."""
        if not running.preemptible or running.tier < waiting.tier:
            return False
        return self.tiers_preempt if running.tier > waiting.tier else self.policy.preemptive

    def _gain_s(self, waiting: Request, running: Request) -> float:
        # Tiers are not seconds: a higher one always outranks the cost.
        if running.tier > waiting.tier:
            return INFINITE
        return self.policy.gain_s(waiting, running)


def frees_its_slot_soon(running: Request, backend: Backend) -> bool:
    """Whether stopping `running` would gain less than it costs."""
    return backend.cost.remaining_s(running) <= LEAST_GAIN * backend.cost.stop_s(running)
