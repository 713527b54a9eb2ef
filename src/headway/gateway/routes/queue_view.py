"""The queue view: which requests run, which wait, and why."""

from __future__ import annotations

from headway.core.request import State, Tier
from headway.core.tail_keeper import TailKeeper
from headway.gateway.api.views import (
    BackendView,
    GatewaysView,
    OtherRequests,
    QueuedRequest,
    QueueView,
    TailView,
)
from headway.gateway.console.picture import sees
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.dispatch.explanation import explain
from headway.gateway.keys.keys import Caller
from headway.gateway.work.work import Work
from headway.redaction import masked

MOST_EXPLAINED = 1000
"""Number of listed requests by default: each needs an explanation, which costs time."""


def queue_view(
    dispatcher: Dispatcher, viewer: Caller | None, limit: int = MOST_EXPLAINED
) -> QueueView:
    """All live requests, the running ones first.

    Args:
        dispatcher: has the requests.
        viewer: the key that asks. It sees its own requests and those of its tenant; an admin's key
            sees all. It gets only the number of other requests. None: without keys, it sees all.
        limit: maximum number of listed requests.
    """
    scheduler = dispatcher.scheduler
    now_s = dispatcher.clock()
    works: list[Work] = []
    others: list[Work] = []
    for work in dispatcher.works.values():
        (works if sees(viewer, work) else others).append(work)
    works.sort(key=lambda work: (work.request.state is not State.RUNNING, work.request.sequence))
    others_running = sum(work.request.state is State.RUNNING for work in others)
    return QueueView(
        policy=scheduler.policy_name,
        tail=_tail(scheduler.tail),
        waiting=scheduler.waiting(),
        backlog_s=round(scheduler.outlook.backlog_s(), 3),
        gateways=_gateways(dispatcher),
        backends=[
            BackendView(
                name=status.name,
                healthy=status.healthy,
                slots=status.slots,
                running=dispatcher.running_on(status.name),
                models=list(status.models),
                error=status.error and masked(status.error),
                starting=status.starting,
            )
            for status in dispatcher.pool.statuses.values()
        ],
        requests=[_queued(dispatcher, work, now_s) for work in works[:limit]],
        others=OtherRequests(running=others_running, waiting=len(others) - others_running),
    )


def _tail(keeper: TailKeeper | None) -> TailView | None:
    if keeper is None:
        return None
    stretch = keeper.stretch
    return TailView(
        promised=keeper.tail,
        measured=None if stretch is None else round(stretch, 3),
        scale_s=round(keeper.scale_s, 3),
    )


def _gateways(dispatcher: Dispatcher) -> GatewaysView | None:
    queue = dispatcher.queue
    if queue is None:
        return None
    elsewhere = {tier.label: queue.waiting[tier] for tier in Tier}
    return GatewaysView(mode=queue.mode.value, number=queue.members, waiting_elsewhere=elsewhere)


def _queued(dispatcher: Dispatcher, work: Work, now_s: float) -> QueuedRequest:
    request = work.request
    return QueuedRequest(
        id=request.id,
        # Between two runs it is not in the scheduler.
        state=(State.WAITING if request.state is State.NEW else request.state).value,
        model=work.origin.model,
        tier=request.tier.label,
        tenant=request.tenant,
        program=request.program,
        backend=request.backend or None,
        age_s=round(now_s - request.arrival_s, 3),
        predicted_tokens=round(request.estimate.mean, 1),
        output_tokens=work.output_tokens,
        preemptions=request.preemptions,
        not_preemptible_because=work.obstacle,
        why=explain(dispatcher, work, now_s),
    )
