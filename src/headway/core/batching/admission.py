"""Whether a new item may wait."""

from __future__ import annotations

from headway.core.batching.outlook import BatchOutlook
from headway.core.batching.pending import PendingItems
from headway.core.batching.retries import Retries
from headway.core.batching.settings import BatchingSettings
from headway.core.decision import Reject, RejectReason
from headway.core.request import Request, Tier


class ItemAdmission:
    """Refuses items that are too long, find the queue full, or would miss their deadline."""

    def __init__(
        self,
        settings: BatchingSettings,
        outlook: BatchOutlook,
        pending: PendingItems,
        retries: Retries,
    ) -> None:
        self._settings = settings
        self._outlook = outlook
        self._pending = pending
        self._retries = retries

    def refusal(self, request: Request, now_s: float) -> Reject | None:
        """Why `request`, which the outlook has measured, may not wait; None: it may."""
        if not self._settings.limits.could_ever_hold(request.prompt_tokens):
            return Reject(request, RejectReason.TOO_LARGE, 0.0)
        if self._is_full(request.tier):
            return Reject(request, RejectReason.QUEUE_FULL, self._outlook.backlog_s())
        if request.deadline_s is not None:
            wait_s = self._outlook.wait_s(request, now_s)
            if now_s + wait_s > request.latest_start_s:
                return Reject(request, RejectReason.DEADLINE, wait_s, wait_s)
        return None

    def _is_full(self, tier: Tier) -> bool:
        most_in_tier = self._settings.tiers[tier].queue.max_queue
        if most_in_tier is not None and self._pending.in_tier(tier) >= most_in_tier:
            return True
        most = self._settings.max_queue
        return most is not None and len(self._pending) + len(self._retries) >= most
