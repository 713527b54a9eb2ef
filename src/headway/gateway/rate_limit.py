"""A token bucket: so much a minute, saved up to one minute's worth."""

from __future__ import annotations


class TokenBucket:
    """Takes its time from the caller, so that it can be tested and replayed.

    Args:
        per_minute: refill rate, and the most that can be saved up.
        now_s: the time at which the bucket is full.
    """

    __slots__ = ("_at_s", "_level", "_most", "_per_s")

    def __init__(self, per_minute: float, now_s: float) -> None:
        self._most = per_minute
        self._per_s = per_minute / 60.0
        self._level = per_minute
        self._at_s = now_s

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` is there; 0 means now. Takes nothing.

        More than a minute's worth is let through once the bucket is full: it could never be.
        """
        self._refill(now_s)
        missing = min(amount, self._most) - self._level
        return max(0.0, missing / self._per_s)

    def take(self, amount: float, now_s: float) -> None:
        """Take `amount`, into debt where it was not known beforehand."""
        self._refill(now_s)
        self._level -= amount

    def _refill(self, now_s: float) -> None:
        self._level = min(self._most, self._level + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
