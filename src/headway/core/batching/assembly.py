"""Which waiting items the next batch holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headway.core.batching.curve import CurveFit
from headway.core.batching.draft import Draft
from headway.core.batching.item_queue import ItemQueue
from headway.core.batching.length_aware import companions
from headway.core.batching.pending import PendingItems
from headway.core.batching.policy import QueueSnapshot
from headway.core.batching.settings import BatchingSettings
from headway.core.batching.slices import Slices
from headway.core.batching.workers import Workers
from headway.core.request import Request, Tier

MOST_MISFITS = 8
"""Number of items in order that may be skipped while a batch is filled."""


class Assembly:
    """Chooses the item that leads the next batch, the size of the batch, and its other items."""

    def __init__(
        self, settings: BatchingSettings, fit: CurveFit, pending: PendingItems, workers: Workers
    ) -> None:
        self._limits = settings.limits
        self._fit = fit
        self._pending = pending
        self._workers = workers
        self._slices = Slices(settings.slice_s, settings.limits, pending.queues)

    def snapshot(self, queue: ItemQueue, now_s: float) -> QueueSnapshot:
        """What the policy of `queue` decides by."""
        curve = self._fit.curve
        within_s = self._slices.within_s(queue, curve, now_s)
        free = max(1, self._workers.free)
        return queue.snapshot(now_s, max(1, self._workers.count), free, curve, within_s)

    def leader(self, now_s: float, above: Tier | None) -> tuple[Request | None, int]:
        """The item that leads the next batch and how many to launch; (None, 0): wait.

        Args:
            now_s: the present time.
            above: leave out this tier and those below it; None: consider every tier.
        """
        tier_ok: Callable[[Tier], bool] = _every_tier
        while (leader := self._pending.next(now_s, tier_ok)) is not None:
            if above is not None and leader.tier >= above:
                break
            queue = self._pending.queues[leader.tier]
            size = self._size(queue, now_s)
            if size:
                return self._most_urgent(queue, leader, size, now_s), size
            # It waits for company, but no higher tier may wait behind it.
            tier_ok = queue.is_below
        return None, 0

    def draft(self, leader: Request, size: int, now_s: float) -> Draft | None:
        """A batch that holds `leader`, its items taken from the pending ones.

        None if `leader` would miss its deadline even alone; then nothing is taken.
        """
        curve = self._fit.curve
        queue = self._pending.queues[leader.tier]
        # Places that would only be padding cost nothing.
        most = min(self._limits.padded_size(size), queue.most)
        within_s = self._slices.within_s(queue, curve, now_s)
        draft = Draft(self._limits, curve, now_s, most, within_s)
        if not draft.admit(leader):
            return None
        self._pending.take(leader)
        self._fill(draft, queue, now_s)
        for tier in Tier:
            filler = self._pending.queues[tier]
            if tier > queue.tier and filler.waiting:
                # Spare room goes to the leader's own tier first; if some of it still waits, a
                # filler must not make the batch longer.
                within_s = 0.0
                if not queue.waiting:
                    within_s = self._slices.filled_within_s(queue, filler, curve, now_s)
                draft.open_to_fillers(queue.most, within_s)
                self._fill(draft, filler, now_s)
        return draft

    def retry(self, half: Sequence[Request], now_s: float) -> tuple[Draft, list[Request]]:
        """A batch of `half`, and those of its items that would miss their deadlines."""
        draft = Draft(self._limits, self._fit.curve, now_s, len(half))
        return draft, [request for request in half if not draft.admit(request)]

    def _size(self, queue: ItemQueue, now_s: float) -> int:
        """How many items of `queue`, which is first in order, to launch now; 0: wait."""
        snapshot = self.snapshot(queue, now_s)
        size = queue.policy.size(snapshot)
        if size:
            return size
        first = queue.first_deadline(now_s)
        due = first is not None and queue.launch_by_s(first, self._fit.curve) <= now_s
        # The policy waits for company, and waiting items of lower tiers are company.
        if due or any(
            lower.waiting for tier, lower in self._pending.queues.items() if tier > queue.tier
        ):
            return min(queue.waiting, snapshot.sizes[-1])
        return 0

    def _most_urgent(self, queue: ItemQueue, leader: Request, size: int, now_s: float) -> Request:
        """The item that leads: the one with the first deadline, if waiting for the next free worker
        would make it miss that, else `leader`. A leader that is due keeps its turn."""
        first = queue.first_deadline(now_s)
        if first is None or leader.due_s <= now_s or self._workers.free > 1:
            return leader
        padded = self._limits.padded_size(size)
        ends_s = now_s + self._fit.curve.batch_s(padded, queue.mean_length)
        next_free_s = min(ends_s, self._workers.next_end_s())
        return first if next_free_s > first.latest_start_s else leader

    def _fill(self, draft: Draft, queue: ItemQueue, now_s: float) -> None:
        """Add items of `queue` to `draft` while they fit."""
        if queue.lengths is not None:
            leader = draft.requests[0]
            if leader.tier is queue.tier:
                near = companions(leader, queue.lengths, draft.most, self._limits, self._fit.curve)
            else:
                near = queue.lengths.longest_within(draft.length, draft.room + MOST_MISFITS)
            for request in near:
                if not draft.room:
                    break
                if draft.admit(request):
                    self._pending.take(request)
            return
        misfits: list[Request] = []
        while draft.room and queue.waiting and len(misfits) < MOST_MISFITS:
            candidate = self._pending.next(now_s, queue.is_of)
            if candidate is None:
                break
            if draft.admit(candidate):
                self._pending.take(candidate)
            else:
                self._pending.set_aside(candidate)
                misfits.append(candidate)
        for misfit in misfits:
            self._pending.put_back(misfit)


def _every_tier(tier: Tier) -> bool:
    return True
