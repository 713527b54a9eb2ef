"""Recent traffic of a backend: the best evidence that it is up."""

from __future__ import annotations


class Activity:
    """Requests in flight over one client, and when data last arrived. Times are seconds."""

    __slots__ = ("_began_s", "_silent_s", "heard_s", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        self.heard_s = float("-inf")
        """When data last arrived."""
        self._began_s = 0.0
        self._silent_s = 0.0

    def began(self, now_s: float) -> None:
        """A request was sent."""
        if not self.in_flight:
            self._began_s = now_s
        self.in_flight += 1

    def heard(self, now_s: float) -> None:
        """A part of an answer arrived."""
        self.heard_s = now_s
        self._silent_s = 0.0

    def ended(self, now_s: float) -> None:
        """A request ended, for any reason."""
        self.in_flight -= 1
        if not self.in_flight:
            self._silent_s += now_s - max(self._began_s, self.heard_s)

    def silence_s(self, now_s: float) -> float:
        """Time with requests in flight but no data, since data last arrived.

        It continues when clients give up: otherwise a hung backend would look healthy as long as
        its clients are impatient.
        """
        if not self.in_flight:
            return self._silent_s
        return self._silent_s + now_s - max(self._began_s, self.heard_s)
