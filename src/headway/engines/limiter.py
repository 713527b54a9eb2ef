"""How many requests to keep in flight at a backend."""

from __future__ import annotations

_ALONE_SHARE = 0.3
"""Weight of the newest time per token seen without company in what counts as its best."""


class ConcurrencyLimit:
    """Additive increase, multiplicative decrease on the time per output token (AIMD).

    It grows by one after as many good answers as the limit is high, and only while the limit is
    in use; it shrinks when tokens take `tolerance` times longer than the best seen, and when the
    backend says that it has too much to do.
    """

    def __init__(
        self,
        *,
        initial: int = 8,
        least: int = 1,
        most: int = 512,
        tolerance: float = 2.5,
        decrease: float = 0.8,
    ) -> None:
        self._limit = float(initial)
        self._least = least
        self._most = most
        self._tolerance = tolerance
        self._decrease = decrease
        self._best_tpot_s: float | None = None
        self._until_next_decrease = 0

    @property
    def limit(self) -> int:
        """Requests to keep in flight, at most."""
        return int(self._limit)

    def answered(self, in_flight: int) -> None:
        """A request was answered, with `in_flight` requests at its end."""
        self._until_next_decrease -= 1
        if in_flight >= self.limit:
            self._limit = min(self._limit + 1.0 / self._limit, float(self._most))

    def observe(self, tpot_s: float, in_flight: int) -> None:
        """An answer took `tpot_s` per output token, with `in_flight` requests at its end."""
        best_s = self._best_tpot_s
        if best_s is None or tpot_s < best_s:
            best_s = tpot_s
        elif in_flight <= 1:  # nobody else is to blame: the backend itself has become slower
            best_s += _ALONE_SHARE * (tpot_s - best_s)
        self._best_tpot_s = best_s
        if tpot_s <= self._tolerance * best_s:
            self.answered(in_flight)
        else:
            self._until_next_decrease -= 1
            self._shrink(self._decrease)

    def overloaded(self) -> None:
        """The backend itself said that it has too much to do (429, 503)."""
        self._shrink(0.5)

    def _shrink(self, factor: float) -> None:
        # Answers of requests that were in flight at the last decrease say nothing new.
        if self._until_next_decrease <= 0:
            self._until_next_decrease = self.limit
            self._limit = max(self._limit * factor, float(self._least))
