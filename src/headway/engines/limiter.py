"""How many requests to keep in flight at a backend."""

from __future__ import annotations

TOLERANCE = 2.5
"""A token that takes more than this many times the best time shrinks the limit."""
DECREASE = 0.8
"""The limit is multiplied by it then."""
OVERLOADED = 0.5
"""The same where the backend reports overload."""
_ALONE_SHARE = 0.3
"""Weight of the newest time per token in the best one, if the request ran alone."""


class ConcurrencyLimit:
    """Additive increase, multiplicative decrease on the time per output token (AIMD).

    A limit of n grows by one after n good answers while n requests are in flight. It shrinks when
    a token takes much longer than the best time so far, or the backend reports overload.
    """

    def __init__(self, *, initial: int = 8, most: int = 512) -> None:
        self._limit = float(initial)
        self._most = most
        self._best_tpot_s: float | None = None
        self._until_next_decrease = 0

    @property
    def limit(self) -> int:
        """Maximum number of requests in flight."""
        return int(self._limit)

    def answered(self, in_flight: int) -> None:
        """A request was answered; `in_flight` requests were in flight, it included."""
        self._until_next_decrease -= 1
        if in_flight >= self.limit:
            self._limit = min(self._limit + 1.0 / self._limit, float(self._most))

    def observe(self, tpot_s: float, in_flight: int) -> None:
        """A request was answered in `tpot_s` per output token; `in_flight` as in `answered`."""
        best_s = self._best_tpot_s
        if best_s is None or tpot_s < best_s:
            best_s = tpot_s
        elif in_flight <= 1:
            # No other request slowed it down: the backend itself has become slower.
            best_s += _ALONE_SHARE * (tpot_s - best_s)
        self._best_tpot_s = best_s
        if tpot_s <= TOLERANCE * best_s:
            self.answered(in_flight)
        else:
            self._until_next_decrease -= 1
            self._shrink(DECREASE)

    def overloaded(self) -> None:
        """The backend reported overload (429, 503, 529)."""
        self._shrink(OVERLOADED)

    def _shrink(self, factor: float) -> None:
        # Requests that were in flight at the last decrease must not cause another one.
        if self._until_next_decrease <= 0:
            self._until_next_decrease = self.limit
            self._limit = max(self._limit * factor, 1.0)
