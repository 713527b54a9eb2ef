"""The ratio of two quantities, from the last requests."""

from __future__ import annotations

LEAST = 20


class LearnedRatio:
    """The sum of one quantity over that of another; the oldest half is forgotten now and then.

    Args:
        most: requests after which half of what is known is forgotten.
    """

    __slots__ = ("_above", "_below", "_count", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._above = self._below = 0.0
        self._count = 0

    def add(self, above: float, below: float) -> None:
        """Both quantities of one request."""
        self._above += above
        self._below += below
        self._count += 1
        if self._count >= self._most:
            self._count //= 2
            self._above /= 2.0
            self._below /= 2.0

    def value(self, unknown: float) -> float:
        """The ratio; `unknown` before LEAST requests."""
        known = self._count >= LEAST and self._below > 0.0
        return self._above / self._below if known else unknown
