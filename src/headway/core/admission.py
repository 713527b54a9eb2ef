"""Whether a new request may wait."""

from __future__ import annotations

from collections.abc import Sequence

from headway.core.backend import Backend
from headway.core.backends import Backends
from headway.core.decision import Reject, RejectReason
from headway.core.lanes import Lanes
from headway.core.outlook import Outlook
from headway.core.request import Request, Tier
from headway.core.settings import SchedulerSettings


class Admission:
    """Refuses requests that find the queue full, fit on no backend, or would miss their deadline.

    Args:
        settings: has the limits of the queues.
        lanes: all waiting requests.
        backends: all running requests, and the caps on them.
        outlook: predicts backlog and waits.
    """

    def __init__(
        self, settings: SchedulerSettings, lanes: Lanes, backends: Backends, outlook: Outlook
    ) -> None:
        self._most = settings.max_queue
        self._most_of_tier = [settings.tier(tier).max_queue for tier in Tier]
        self._lanes = lanes
        self._backlog = lanes.backlog
        self._backends = backends
        self._outlook = outlook

    def refusal(self, request: Request, now_s: float) -> Reject | None:
        """Why `request`, which is new and has its promises, may not wait; None: it may."""
        serving = self._backends.of_lane(request.lane)
        of_tier = self._most_of_tier[request.tier]
        full = of_tier is not None and self._backlog.in_tier(request.tier) >= of_tier
        full = full or (self._most is not None and self._backlog.requests >= self._most)
        if full and not self._starts_at_once(request, now_s, serving):
            return Reject(request, RejectReason.QUEUE_FULL, self._outlook.backlog_s())
        if serving and not _may_ever_run(request, serving):
            return Reject(request, RejectReason.TOO_LARGE, 0.0)
        if request.deadline_s is not None:
            latest_s = request.latest_start_s
            if now_s <= latest_s and now_s + self._longest_wait_s(serving) <= latest_s:
                return None  # met so easily that there is no need to look at the queue
            wait_s = self._outlook.predicted_wait_s(request)
            if now_s + wait_s > latest_s:
                return Reject(request, RejectReason.DEADLINE, wait_s, wait_s)
        return None

    def _longest_wait_s(self, serving: Sequence[Backend]) -> float:
        running_s, slots = 0.0, 0
        for backend in serving:
            running_s += backend.cost.decode_s_per_token * backend.work_tokens
            slots += backend.slots
        return (self._backlog.work_s() + running_s) / max(1, slots)

    def _starts_at_once(self, request: Request, now_s: float, serving: Sequence[Backend]) -> bool:
        running = self._backends.running
        if not running.tier_ok(request.tier) or not running.tenant_ok(request.tenant):
            return False
        # Requests that wait only because of their own caps are not ahead of it.
        queue = self._lanes.queues.get(request.lane)
        if queue is not None and queue.next(now_s, running.tier_ok, running.tenant_gate):
            return False
        return any(backend.may_have_room_for(request) for backend in serving)


def _may_ever_run(request: Request, serving: Sequence[Backend]) -> bool:
    for backend in serving:  # noqa: SIM110 - a generator takes twice as long
        if backend.could_ever_hold(request):
            return True
    return False
