"""What flows from a backend now: the best proof that it lives."""

from __future__ import annotations


class Activity:
    """Requests in flight over one client, and when something last came. Times are seconds."""

    __slots__ = ("_began_s", "_silent_s", "heard_s", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        self.heard_s = float("-inf")
        """When something last came."""
        self._began_s = 0.0
        self._silent_s = 0.0

    def began(self, now_s: float) -> None:
        """A request is sent."""
        if not self.in_flight:
            self._began_s = now_s
        self.in_flight += 1

    def heard(self, now_s: float) -> None:
        """A part of an answer came."""
        self.heard_s = now_s
        self._silent_s = 0.0

    def ended(self, now_s: float) -> None:
        """A request is over, whoever ended it."""
        self.in_flight -= 1
        if not self.in_flight:
            self._silent_s += now_s - max(self._began_s, self.heard_s)

    def silence_s(self, now_s: float) -> float:
        """Time in which requests were in flight and nothing came, since something last came.

        Clients that gave up do not end it: otherwise a backend that hangs looks well as long as
        its clients are impatient.
        """
        if not self.in_flight:
            return self._silent_s
        return self._silent_s + now_s - max(self._began_s, self.heard_s)
