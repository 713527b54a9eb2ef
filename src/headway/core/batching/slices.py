"""How long a batch may take, so that interactive items do not wait long for its end."""

from __future__ import annotations

from collections.abc import Mapping

from headway.core.batching.curve import Curve
from headway.core.batching.item_queue import ItemQueue
from headway.core.batching.limits import Limits
from headway.core.request import Tier
from headway.core.settings import INFINITE

EFFICIENT_SHARE = 0.9
"""Share of the full throughput that a slice keeps, unless the operator sets a slice."""

RARE_ARRIVALS = 0.01
"""Batches are sliced only if at least this many interactive items are expected during a full
batch."""

FILLED_SLICE = 0.5
"""Share of a slice up to which lower tiers may fill an interactive batch: an item that waited
for one slice then ends within one and a half."""


class Slices:
    """The longest batch of each tier.

    Args:
        slice_s: as set by the operator; None: long enough for nearly the full throughput.
        limits: the shapes that a batch may have.
        queues: the waiting items by tier.
    """

    def __init__(
        self, slice_s: float | None, limits: Limits, queues: Mapping[Tier, ItemQueue]
    ) -> None:
        self._slice_s = slice_s
        self._limits = limits
        self._queues = queues

    def within_s(self, queue: ItemQueue, curve: Curve, now_s: float) -> float:
        """Longest duration of a batch that `queue` leads and fills."""
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
        """Longest duration of a batch that `queue` leads and the lower tier `filler` fills."""
        if queue.tier is Tier.INTERACTIVE:
            return FILLED_SLICE * self._held_up_s(filler, curve)
        return self.within_s(filler, curve, now_s)

    def _held_up_s(self, queue: ItemQueue, curve: Curve) -> float:
        """How long a batch that `queue` leads may delay an interactive item."""
        if self._slice_s is not None:
            return self._slice_s
        length = queue.mean_length
        size = curve.efficient_size(EFFICIENT_SHARE, queue.most, length)
        return curve.batch_s(self._limits.padded_size(size), length)
