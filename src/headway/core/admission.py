"""Whether a new request may wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from headway.core.backend import Backend
from headway.core.backlog import Backlog
from headway.core.decision import Reject, RejectReason
from headway.core.request import Request, Tier
from headway.core.running import Running
from headway.core.settings import SchedulerSettings
from headway.core.waiting import Waiting


class Admission:
    """Refuses what finds the queue full, fits on no backend, or would miss its deadline.

    Args:
        settings: limits of the queues.
        backlog: everybody who waits.
        running: how much runs, and the caps on it.
        backlog_s: predicted time to serve them.
        predicted_wait_s: of a request that would be added now.
    """

    def __init__(
        self,
        settings: SchedulerSettings,
        backlog: Backlog,
        running: Running,
        backlog_s: Callable[[], float],
        predicted_wait_s: Callable[[Request], float],
    ) -> None:
        self._most = settings.max_queue
        self._most_of_tier = [settings.tier(tier).max_queue for tier in Tier]
        self._backlog = backlog
        self._running = running
        self._backlog_s = backlog_s
        self._predicted_wait_s = predicted_wait_s

    def refusal(
        self, request: Request, now_s: float, serving: Sequence[Backend], queue: Waiting | None
    ) -> Reject | None:
        """Why `request` may not wait, or None: it may.

        Args:
            request: new, and measured.
            now_s: the time.
            serving: the backends of its lane; none: it waits for one.
            queue: who waits in its lane.
        """
        of_tier = self._most_of_tier[request.tier]
        full = of_tier is not None and self._backlog.in_tier(request.tier) >= of_tier
        full = full or (self._most is not None and self._backlog.requests >= self._most)
        if full and not self._starts_at_once(request, now_s, serving, queue):
            return Reject(request, RejectReason.QUEUE_FULL, self._backlog_s())
        if serving and not _may_ever_run(request, serving):
            return Reject(request, RejectReason.TOO_LARGE, 0.0)
        if request.deadline_s is not None:
            latest_s = request.latest_start_s
            if now_s <= latest_s and now_s + self._longest_wait_s(serving) <= latest_s:
                return None  # so easily met that the queue need not be looked at
            wait_s = self._predicted_wait_s(request)
            if now_s + wait_s > latest_s:
                return Reject(request, RejectReason.DEADLINE, wait_s, wait_s)
        return None

    def _longest_wait_s(self, serving: Sequence[Backend]) -> float:
        running_s = sum(b.cost.decode_s_per_token * b.work_tokens for b in serving)
        slots = sum(backend.slots for backend in serving)
        return (self._backlog.work_s() + running_s) / max(1, slots)

    def _starts_at_once(
        self, request: Request, now_s: float, serving: Sequence[Backend], queue: Waiting | None
    ) -> bool:
        running = self._running
        if not running.tier_ok(request.tier) or not running.tenant_ok(request.tenant):
            return False
        # Those that wait for their own caps only are not ahead of it.
        if queue is not None and queue.next(now_s, running.tier_ok, running.tenant_gate):
            return False
        return any(backend.has_room_for(request) for backend in serving)


def _may_ever_run(request: Request, serving: Iterable[Backend]) -> bool:
    for backend in serving:  # noqa: SIM110 - a generator takes twice as long
        if backend.could_ever_hold(request):
            return True
    return False
