"""How long to send nothing to a backend that reported overload."""

from __future__ import annotations

FIRST_S = 0.5
MOST_S = 8.0
"""First and longest pause without Retry-After; each pause is twice the last."""
MOST_ASKED_S = 60.0
"""Longest pause, even if the backend asks for more."""


class Overload:
    """Pauses after 429, and after 503 with Retry-After. Times are seconds on one clock."""

    def __init__(self) -> None:
        self._next_s = FIRST_S
        self.until_s = float("-inf")
        """The backend gets no new requests before this time."""

    def reported(self, retry_after_s: float | None, now_s: float) -> None:
        """The backend refused a request; `retry_after_s` is its Retry-After, or None."""
        if retry_after_s is not None:
            self.until_s = max(self.until_s, now_s + min(retry_after_s, MOST_ASKED_S))
        elif now_s >= self.until_s:  # otherwise the request was sent before the pause
            self.until_s = now_s + self._next_s
            self._next_s = min(2.0 * self._next_s, MOST_S)

    def succeeded(self) -> None:
        """The backend answered a request. A current pause continues."""
        self._next_s = FIRST_S
