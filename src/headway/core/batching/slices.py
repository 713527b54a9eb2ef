"""How long a batch may take, so that interactive items wait little for its end."""

from __future__ import annotations

from collections.abc import Mapping

from headway.core.batching.curve import Curve
from headway.core.batching.limits import Limits
from headway.core.batching.line import Line
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
        lines: of every tier.
    """

    def __init__(self, slice_s: float | None, limits: Limits, lines: Mapping[Tier, Line]) -> None:
        self._slice_s = slice_s
        self._limits = limits
        self._lines = lines

    def within_s(self, line: Line, curve: Curve, now_s: float) -> float:
        """The longest batch that `line` leads and fills."""
        if line.tier is Tier.INTERACTIVE:
            return INFINITE
        if self._slice_s is None:
            interactive = self._lines[Tier.INTERACTIVE]
            size = self._limits.padded_size(line.most)
            full_s = curve.batch_s(size, line.mean_length)
            if not interactive.waiting and interactive.rate.per_s(now_s) * full_s < RARE_ARRIVALS:
                return INFINITE
        return self._held_up_s(line, curve)

    def filled_within_s(self, line: Line, filler: Line, curve: Curve, now_s: float) -> float:
        """The longest batch that `line` leads and items of the lower tier `filler` fill."""
        if line.tier is Tier.INTERACTIVE:
            return FILLED_SLICE * self._held_up_s(filler, curve)
        return self.within_s(filler, curve, now_s)

    def _held_up_s(self, line: Line, curve: Curve) -> float:
        """How long an interactive item may be held up by a batch that `line` leads."""
        if self._slice_s is not None:
            return self._slice_s
        length = line.mean_length
        size = curve.efficient_size(EFFICIENT_SHARE, line.most, length)
        return curve.batch_s(self._limits.padded_size(size), length)
