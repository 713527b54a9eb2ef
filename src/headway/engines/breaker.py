"""Circuit breaker: a backend that keeps failing is left alone, then tried with one request."""

from __future__ import annotations

from enum import Enum


class BreakerState(Enum):
    """closed: all may pass. open: none. half-open: one, to see."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitBreaker:
    """Counts failures in a row; all times are given, in seconds on one clock."""

    def __init__(
        self, *, threshold: int = 5, cooldown_s: float = 1.0, max_cooldown_s: float = 30.0
    ) -> None:
        """Opens after `threshold` failures in a row, for `cooldown_s`, doubled each time the
        request let through after it fails too, up to `max_cooldown_s`."""
        self._threshold = threshold
        self._first_cooldown_s = cooldown_s
        self._max_cooldown_s = max_cooldown_s
        self._cooldown_s = cooldown_s
        self._failures = 0
        self._open_until_s: float | None = None

    def state(self, now_s: float) -> BreakerState:
        """What may pass now."""
        if self._open_until_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self._open_until_s else BreakerState.HALF_OPEN

    @property
    def open_until_s(self) -> float | None:
        """When it lets the next request through; None while it is closed."""
        return self._open_until_s

    def succeeded(self, now_s: float) -> None:
        """A request ended well. One that began before it opened does not close it."""
        if self.state(now_s) is not BreakerState.OPEN:
            self.reset()

    def failed(self, now_s: float) -> None:
        """A request failed."""
        state = self.state(now_s)
        if state is BreakerState.OPEN:
            return
        self._failures += 1
        if state is BreakerState.HALF_OPEN:
            self._cooldown_s = min(2.0 * self._cooldown_s, self._max_cooldown_s)
        elif self._failures < self._threshold:
            return
        self._open_until_s = now_s + self._cooldown_s

    def reset(self) -> None:
        """Forget everything: it works, or it is another process now."""
        self._failures = 0
        self._cooldown_s = self._first_cooldown_s
        self._open_until_s = None
