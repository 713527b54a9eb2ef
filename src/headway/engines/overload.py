"""How long to leave a backend alone after it said that it has too much to do."""

from __future__ import annotations

FIRST_S = 0.5
MOST_S = 8.0
"""Pauses where it does not say how long: doubled each time, up to this."""
MOST_ASKED_S = 60.0
"""However long it asks for, it is tried again after this."""


class Overload:
    """Pauses after 429, and after 503 with Retry-After. Times are seconds on one clock."""

    def __init__(self) -> None:
        self._next_s = FIRST_S
        self.until_s = float("-inf")
        """It gets nothing new before this."""

    def reported(self, retry_after_s: float | None, now_s: float) -> None:
        """It refused a request; `retry_after_s` is its Retry-After, None where it gave none."""
        if retry_after_s is not None:
            self.until_s = max(self.until_s, now_s + min(retry_after_s, MOST_ASKED_S))
        elif now_s >= self.until_s:  # else it refused one that was sent before the pause
            self.until_s = now_s + self._next_s
            self._next_s = min(2.0 * self._next_s, MOST_S)

    def succeeded(self) -> None:
        """It answered a request. A pause under way goes on."""
        self._next_s = FIRST_S
