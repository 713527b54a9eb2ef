"""Axes of charts: from a value to a place, and where the ticks are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

SQUEEZED = 4.0
"""How far the longest may be above 95% of all values on a linear axis."""
MOST_DECADES = 5
"""A logarithmic axis is no longer; smaller values lie on its edge."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis to at least `top`, with round ticks: linear from 0, or logarithmic."""

    label: str
    top: float
    unit: str = ""
    percent: bool = False
    whole: bool = False
    """Whether there is nothing between whole numbers."""
    bottom: float = 0.0
    """Above 0: the axis is logarithmic and begins here or below."""

    @classmethod
    def fitting(cls, label: str, values: Sequence[float], unit: str = "") -> Axis:
        """Linear, or logarithmic where the longest values would squeeze all others.

        Args:
            label: of the axis.
            values: what will be drawn.
            unit: of the values.
        """
        positive = sorted(value for value in values if value > 0.0)
        top = positive[-1] if positive else 1.0
        if len(positive) > 1:
            parts = quantiles(positive, n=20, method="inclusive")
            if top > SQUEEZED * parts[-1] or top > 3.0 * SQUEEZED * parts[9]:
                return cls(label, top, unit, bottom=max(positive[0], top / 10.0**MOST_DECADES))
        return cls(label, top, unit)

    @property
    def logarithmic(self) -> bool:
        """Whether equal ratios have equal lengths."""
        return self.bottom > 0.0

    @property
    def name(self) -> str:
        """The label with what has to be known of it."""
        notes = [self.unit] if self.unit else []
        notes += ["log scale"] if self.logarithmic else []
        return f"{self.label} ({', '.join(notes)})" if notes else self.label

    def place(self, value: float) -> float:
        """Where a value lies: 0 at the beginning of the axis, 1 at its end."""
        if not self.logarithmic:
            return value / self.ticks()[-1]
        begin, end = self.ticks()[0], self.ticks()[-1]
        return max(0.0, math.log(max(value, begin) / begin) / math.log(end / begin))

    def ticks(self, most: int = 5) -> list[float]:
        """Round values from the beginning to the end of the axis, at most about `most`.

        The beginning and the end do not depend on `most`.
        """
        if self.logarithmic:
            return self._log_ticks(most)
        top = max(self.top, 1e-9)
        end_step = self._step(5)
        end = end_step * math.ceil(top / end_step - 1e-6)
        step = self._step(most)
        while abs(end / step - round(end / step)) > 1e-6:  # the end is a tick, too
            step = end_step if step > end_step or most >= 5 else end
        return [step * n for n in range(round(end / step) + 1)]

    def _step(self, most: int) -> float:
        raw = max(self.top, 1e-9) / most
        if self.whole:
            raw = max(raw, 1.0)
        power = 10.0 ** math.floor(math.log10(raw))
        factors = (1, 2, 5, 10) if self.whole else (1, 2, 2.5, 5, 10)
        return next(m * power for m in factors if m * power >= raw * 0.999)

    def _log_ticks(self, most: int) -> list[float]:
        begin = 10.0 ** math.floor(math.log10(self.bottom) + 1e-9)
        end = 10.0 ** math.ceil(math.log10(max(self.top, 2.0 * begin)) - 1e-9)
        decades = round(math.log10(end / begin))
        parts = (1, 2, 5) if 3 * decades < 2 * most else (1,)
        ticks = [begin * 10.0**n * part for n in range(decades) for part in parts]
        # The axis may begin and end between powers of ten.
        fine = [begin * 10.0**n * part for n in range(decades) for part in (1, 2, 5)] + [end]
        first = max(one for one in fine if one <= self.bottom * (1 + 1e-9))
        last = min(one for one in fine if one >= self.top * (1 - 1e-9) and one > first)
        between = [one for one in ticks if first < one < last]
        return [first, *between, last]

    def text(self, value: float) -> str:
        """A tick's label."""
        return f"{value:.0%}" if self.percent else f"{value:,.6g}"
