"""What the fitted curve predicts for waiting items."""

from __future__ import annotations

from headway.core.batching.curve import CurveFit
from headway.core.batching.item_queue import ItemQueue
from headway.core.batching.pending import PendingItems
from headway.core.batching.settings import BatchingSettings
from headway.core.batching.workers import Workers
from headway.core.request import Request
from headway.core.starvation import due_s

SAMPLED_REQUESTS = 64
"""Number of waiting items with deadlines that are sampled to predict a wait."""


class BatchOutlook:
    """Predicts waits, and sets the times of an item that depend on the curve."""

    def __init__(
        self, settings: BatchingSettings, fit: CurveFit, pending: PendingItems, workers: Workers
    ) -> None:
        self._limits = settings.limits
        self._scheduling = settings.scheduling()
        self._fit = fit
        self._queues = pending.queues
        self._workers = workers

    def measure(self, request: Request) -> None:
        """Set the due time, the work and the latest start of `request`."""
        tier = self._scheduling.tier(request.tier)
        request.due_s = due_s(request, tier, self._scheduling.cost.duration_s(request))
        if not self._limits.could_ever_hold(request.prompt_tokens):
            return
        length = self._limits.padded_length(request.prompt_tokens)
        request.queued_work_s = request.service_s = self._fit.curve.per_item_s(length)
        if request.deadline_s is not None:
            request.latest_start_s = self.latest_start_s(request)

    def latest_start_s(self, request: Request) -> float:
        """The last moment at which `request` can be launched alone and meet its deadline."""
        assert request.deadline_s is not None
        size = self._limits.padded_size(1)
        length = self._limits.padded_length(request.prompt_tokens)
        return request.deadline_s - self._fit.curve.soonest_s(size, length)

    def backlog_s(self) -> float:
        """Predicted time to run all waiting items, in the largest batches on every worker."""
        return self._on_all_s(self.work_s())

    def work_s(self) -> float:
        """Predicted time to run all waiting items, in the largest batches on one worker."""
        return sum(self._work_s(queue, queue.waiting) for queue in self._queues.values())

    def wait_s(self, request: Request, now_s: float) -> float:
        """A lower bound of the predicted wait of `request`, if it were added now.

        It counts the first free worker, all higher tiers, and the items of its own tier with an
        earlier deadline. Other items do not count: its deadline would move it ahead of them.
        """
        ahead_s = 0.0
        for tier, queue in self._queues.items():
            if tier < request.tier:
                ahead_s += self._work_s(queue, queue.waiting)
            elif tier is request.tier:
                earlier = queue.count_before(request.latest_start_s, SAMPLED_REQUESTS)
                ahead_s += self._work_s(queue, earlier)
        return self._workers.next_free_s(now_s) - now_s + self._on_all_s(ahead_s)

    def _work_s(self, queue: ItemQueue, items: float) -> float:
        """Predicted time of `items` of `queue`, in the largest batches on one worker."""
        size = self._limits.padded_size(queue.most)
        return items / queue.most * self._fit.curve.batch_s(size, queue.mean_length)

    def _on_all_s(self, work_s: float) -> float:
        """How long all workers together take for what one does in `work_s`."""
        return work_s / max(1, self._workers.count)
