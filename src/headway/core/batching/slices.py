"""How long a batch may take, so that interactive items wait little for its end."""

from __future__ import annotations

from collections.abc import Mapping

from headway.core.batching.curve import Curve
from headway.core.batching.item_queue import ItemQueue
from headway.core.batching.limits import Limits
from headway.core.request import Tier
from headway.core.settings import INFINITE

EFFICIENT_SHARE = 0.9
"""Part of the full throughput that a slice keeps where the operator states none."""

RARE_ARRIVALS = 0.01
"""Slices are for interactive items: with fewer expected during a full batch there are none."""

FILLED_SLICE = 0.5
"""Part of a slice that a batch of a higher tier is filled up to: an item that waited for one
slice then ends within one and a half."""


class Slices:
    """The longest batch of each tier.

    Args:
        slice_s: as the operator states it; None: long enough for nearly the full throughput.
        limits: what shape a batch may have.
        queues: of every tier.
    """

    def __init__(
        self, slice_s: float | None, limits: Limits, queues: Mapping[Tier, ItemQueue]
    ) -> None:
        self._slice_s = slice_s
        self._limits = limits
        self._queues = queues

    def within_s(self, queue: ItemQueue, curve: Curve, now_s: float) -> float:
        """The longest batch that `queue` leads and fills."""
        if queue.tier is Tier.INTERACTIVE:
            return INFINITE
        if self._slice_s is None:
            interactive = self._queues[Tier.INTERACTIVE]
            size = self._limits.padded_size(queue.most)
            full_s = curve.batch_s(size, queue.mean_length)
            if not interactive.waiting and interactive.rate.per_s(now_s) * full_s < RARE_ARRIVALS:
                return INFINITE
        return self._held_up_s(queue, curve)

    def filled_within_s(
        self, queue: ItemQueue, filler: ItemQueue, curve: Curve, now_s: float
    ) -> float:
        """The longest batch that `queue` leads and items of the lower tier `filler` fill."""
        if queue.tier is Tier.INTERACTIVE:
            return FILLED_SLICE * self._held_up_s(filler, curve)
        return self.within_s(filler, curve, now_s)

    def _held_up_s(self, queue: ItemQueue, curve: Curve) -> float:
        """How long an interactive item may be held up by a batch that `queue` leads."""
        if self._slice_s is not None:
            return self._slice_s
        length = queue.mean_length
        size = curve.efficient_size(EFFICIENT_SHARE, queue.most, length)
        return curve.batch_s(self._limits.padded_size(size), length)
