"""Why a request runs or waits, in one sentence."""

from __future__ import annotations

from headway.core.request import Request, State, Tier
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.work.work import Work
from headway.sharing.mode import Mode


def explain(
    dispatcher: Dispatcher, work: Work, now_s: float, ahead: tuple[int, int] | None = None
) -> str:
    """Why `work` runs or waits; `ahead` as in `Outlook.explain`."""
    request = work.request
    if request.state is State.NEW:  # between two runs it is not in the scheduler
        return "waits to be retried: it failed on its backend"
    return dispatcher.scheduler.outlook.explain(request, now_s, ahead) + _elsewhere(
        dispatcher, request
    )


def _elsewhere(dispatcher: Dispatcher, request: Request) -> str:
    """What to add for a waiting request: who waits at other gateways."""
    queue = dispatcher.queue
    if queue is None or request.state is State.RUNNING:
        return ""
    if queue.mode is not Mode.SHARED:
        return "; the other gateways cannot be reached, so this one uses its share of the slots"
    ahead = sum(queue.waiting[tier] for tier in Tier if tier <= request.tier)
    return f"; {ahead} of its tier or a higher one wait at other gateways" if ahead else ""
