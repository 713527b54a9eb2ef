"""One look at the whole queue, from which every viewer gets what it may see."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from headway.core.request import Tier
from headway.core.settings import INFINITE
from headway.engines.backend_status import BackendStatus
from headway.gateway.api.views import GainView, OtherRequests
from headway.gateway.console.order import Order, WaitingOrder
from headway.gateway.console.slices import Slices, sliced
from headway.gateway.console.tally import Tally
from headway.gateway.console.views import (
    BackendNow,
    LiveView,
    PreemptionNow,
    RunningNow,
    TenantNow,
    TierNow,
    WaitingNow,
)
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.dispatch.explanation import explain
from headway.gateway.foresight.policy_choice import PolicyChoice
from headway.gateway.keys.keys import Caller
from headway.gateway.work.work import Work
from headway.redaction import masked

MOST_RUNS = 512
MOST_ROWS = 200
TALLIED_A_LOOK = 2000
"""Requests that are counted at a look, on average."""
ROWS_AT_ONCE = 8
"""Rows that are explained without a pause."""
MOST_TENANTS = 12
MOST_PREEMPTIONS = 20


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of waiting requests that a viewer has before its eyes."""

    first: int = 0
    rows: int = 50
    tier: Tier | None = None
    find: str = ""
    """Part of an id, a tenant, a model or a run, in lower case; empty: all."""

    def shows(self, work: Work) -> bool:
        """Whether `work` passes its filter."""
        request = work.request
        if self.tier is not None and request.tier is not self.tier:
            return False
        return not self.find or any(
            self.find in text.lower()
            for text in (request.id, request.tenant, work.origin.model, request.program)
        )


@dataclass(slots=True)
class Seen:
    """What one key, or an admin, sees of a picture."""

    running: Sequence[Work]
    waiting: Sequence[int]
    """Places in the order of the picture, from 0."""
    tally: Tally


@dataclass(slots=True)
class Picture:
    """Everything that ran and waited at one moment."""

    tick: int
    now_s: float
    dispatcher: Dispatcher
    choice: PolicyChoice
    automatic: bool
    """Whether the gateway chooses the policy by itself."""
    order: Order
    """Of all that waits."""
    all: Seen
    gain: GainView | None
    _of_keys: dict[str, Seen] = field(default_factory=dict)
    _why: dict[str, str] = field(default_factory=dict)
    """Sentences that some viewer has got already, by id."""

    async def view(self, viewer: Caller | None, window: Window, slices: Slices) -> LiveView:
        """What `viewer` sees through `window`; None: one who sees all."""
        seen = self.all if viewer is None else self._of(viewer)
        scheduler, statuses = self.dispatcher.scheduler, self.dispatcher.pool.statuses.values()
        places = seen.waiting
        if window.tier is not None or window.find:
            places = [place for place in places if window.shows(self.order.works[place])]
        first = max(0, min(window.first, len(places) - 1))
        rows = []
        for number, place in enumerate(places[first : first + min(window.rows, MOST_ROWS)]):
            if number % ROWS_AT_ONCE == 0:
                await slices.pause()
            rows.append(self._row(place))
        await slices.pause()
        return LiveView(
            tick=self.tick,
            unix_s=round(time.time(), 3),
            policy=scheduler.policy_name,
            chosen_policy=self.choice.policy,
            chosen_by=self.choice.by if viewer is None else "",
            chosen_ago_s=round(self.dispatcher.clock() - self.choice.at_s, 1),
            automatic=self.automatic,
            fairness=scheduler.settings.fairness,
            preemption=scheduler.settings.preemption.enabled,
            draining=self.dispatcher.draining,
            running=len(seen.running),
            waiting=len(seen.waiting),
            slots=sum(status.slots for status in statuses),
            backlog_s=round(scheduler.outlook.backlog_s(), 3),
            others=OtherRequests(
                running=len(self.all.running) - len(seen.running),
                waiting=len(self.all.waiting) - len(seen.waiting),
            ),
            tiers=[self._tier(tier, seen.tally) for tier in Tier],
            tenants=[
                TenantNow(
                    tenant=name,
                    running=count.running,
                    waiting=count.waiting,
                    longest_wait_s=count.longest_wait_s(self.now_s),
                )
                for name, count in seen.tally.largest(MOST_TENANTS)
            ],
            tenants_in_all=len(seen.tally.tenants),
            backends=[self._backend(status) for status in statuses],
            runs=[self._run(one) for one in seen.running[:MOST_RUNS] if one.request.backend],
            first=first,
            found=len(places),
            rows=rows,
            preemptions=self._preemptions(None if viewer is None else viewer.tenant),
            gain=self.gain if viewer is None else None,
        )

    def _of(self, viewer: Caller) -> Seen:
        seen = self._of_keys.get(viewer.name)
        if seen is None:
            works = self.order.works
            running = [one for one in self.all.running if sees(viewer, one)]
            waiting = [place for place, one in enumerate(works) if sees(viewer, one)]
            tally = Tally(self.tick)
            tally.run(running)
            tally.wait(works[place] for place in waiting)
            seen = self._of_keys[viewer.name] = Seen(running, waiting, tally)
        return seen

    def _tier(self, tier: Tier, tally: Tally) -> TierNow:
        scheduler, count = self.dispatcher.scheduler, tally.tiers[tier]
        promised = scheduler.settings.tier(tier)
        worst_s = self.dispatcher.recent.worst_wait_s(tier, self.now_s)
        return TierNow(
            tier=tier.label,
            running=count.running,
            waiting=count.waiting,
            backlog_s=round(scheduler.outlook.backlog_s(tier), 3),
            longest_wait_s=count.longest_wait_s(self.now_s),
            worst_wait_s=None if worst_s is None else round(worst_s, 3),
            max_wait_s=promised.max_wait_s if promised.max_wait_s < INFINITE else None,
            max_slowdown=promised.max_slowdown if promised.max_slowdown < INFINITE else None,
        )

    def _backend(self, status: BackendStatus) -> BackendNow:
        return BackendNow(
            name=status.name,
            state=_state(status),
            error=status.error and masked(status.error),
            slots=status.slots,
            running=self.dispatcher.running_on(status.name),
            models=list(status.models),
        )

    def _run(self, work: Work) -> RunningNow:
        request = work.request
        cost = self.dispatcher.scheduler.backends[request.backend].cost
        rest_low, rest_high = request.estimate.after(request.output_tokens).likely()
        return RunningNow(
            id=request.id,
            model=work.origin.model,
            tier=request.tier.label,
            tenant=request.tenant,
            program=request.program,
            backend=request.backend,
            age_s=round(self.now_s - request.arrival_s, 3),
            running_s=round(self.now_s - request.resumed_s, 3),
            prompt_tokens=request.prompt_tokens,
            output_tokens=work.output_tokens,
            rest_tokens=round(request.remaining_tokens, 1),
            rest_low=rest_low,
            rest_high=rest_high,
            rest_s=round(cost.duration_s(request), 3),
            preemptions=request.preemptions,
            not_preemptible_because=work.obstacle,
        )

    def _row(self, place: int) -> WaitingNow:
        work = self.order.works[place]
        request = work.request
        low, high = request.estimate.likely()
        why = self._why.get(request.id)
        if why is None:
            others = min(place, self.order.starts[request.tier])
            ahead = others, place - others
            why = self._why[request.id] = explain(self.dispatcher, work, self.now_s, ahead)
        return WaitingNow(
            id=request.id,
            place=place + 1,
            model=work.origin.model,
            tier=request.tier.label,
            tenant=request.tenant,
            program=request.program,
            wait_s=round(self.now_s - request.arrival_s, 3),
            prompt_tokens=request.prompt_tokens,
            output_tokens=work.output_tokens,
            predicted_tokens=round(request.estimate.mean, 1),
            predicted_low=low,
            predicted_high=high,
            preemptions=request.preemptions,
            why=why,
        )

    def _preemptions(self, tenant: str | None) -> list[PreemptionNow]:
        recent = [
            one
            for one in self.dispatcher.recent.preemptions
            if tenant is None or one.tenant == tenant
        ]
        return [
            PreemptionNow(
                ago_s=round(self.now_s - one.at_s, 3),
                id=one.id,
                tier=one.tier.label,
                backend=one.backend,
                output_tokens=one.output_tokens,
                winner_id=one.winner_id if tenant in (None, one.winner_tenant) else None,
                winner_tier=one.winner_tier.label,
            )
            for one in recent[: -MOST_PREEMPTIONS - 1 : -1]
        ]


async def picture(
    tick: int,
    dispatcher: Dispatcher,
    choice: PolicyChoice,
    automatic: bool,
    order: WaitingOrder,
    slices: Slices,
    before: Picture | None,
    gain: GainView | None,
) -> Picture:
    """Look at everything, in slices.

    Args:
        tick: the number of this look.
        dispatcher: has the requests.
        choice: the policy that was chosen.
        automatic: whether the gateway chooses the policy by itself.
        order: kept from one look to the next.
        slices: pauses between them.
        before: the last one; with many requests its tally is kept for some looks.
        gain: what the policy gained in the last hour, if that is known.
    """
    now_s = dispatcher.clock()
    ordered = await order.look(dispatcher.works.values(), now_s, slices)
    running = [
        dispatcher.works[request_id]
        for backend in dispatcher.scheduler.backends.values()
        for request_id in backend.running
        if request_id in dispatcher.works
    ]
    tally = None if before is None else before.all.tally
    if tally is None or tick - tally.tick >= len(ordered.works) / TALLIED_A_LOOK:
        tally = Tally(tick)
        tally.run(running)
        for works in sliced(ordered.works):
            tally.wait(works)
            await slices.pause()
    seen = Seen(running, range(len(ordered.works)), tally)
    return Picture(tick, now_s, dispatcher, choice, automatic, ordered, seen, gain)


def sees(viewer: Caller | None, work: Work) -> bool:
    """Whether a key may see `work`: its own, and its tenant's; None: without keys, all."""
    return viewer is None or work.caller is viewer or viewer.sees(work.request.tenant)


def _state(status: BackendStatus) -> str:
    if status.leaving:
        return "leaving"
    if not status.healthy:
        return "starting" if status.starting else "down"
    return "draining" if status.held else "up"
