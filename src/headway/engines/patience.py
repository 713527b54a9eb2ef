"""How long an answer may be silent before its backend counts as hung."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

LEAST_S = 60.0
"""Minimum of a learned limit if a request that exceeds it ends with an error."""
LEAST_TO_MOVE_S = 10.0
"""Minimum of a learned limit if another backend can answer the request instead."""
ANSWERS_TO_MOVE = 20
"""Number of answers that must have been observed before the lower minimum applies."""
TIMES_P99 = 5.0
"""A learned limit is at least this multiple of the 99th percentile of recent answers."""
TIMES_SERVICE = 3.0
"""Multiple of the predicted service time that is added to the limit before the first byte."""
SUSPECT_S = 5.0
"""Minimum silence after which a backend gets a trial."""
SUSPECT_TIMES_P99 = 2.0
REMEMBERED = 200


class Patience:
    """Time limits to the first byte and between bytes, of one backend.

    Args:
        first_byte_s: the operator's limit to the first byte; None: learned.
        idle_s: the operator's limit between bytes; None: learned.
    """

    def __init__(self, first_byte_s: float | None = None, idle_s: float | None = None) -> None:
        self._first_byte_s = first_byte_s
        self._idle_s = idle_s
        self._first_bytes: deque[float] = deque(maxlen=REMEMBERED)
        self._gaps: deque[float] = deque(maxlen=REMEMBERED)
        self._p99: tuple[float, float] | None = None
        """The 99th percentiles of `_first_bytes` and `_gaps`, computed on demand."""

    def observe(self, first_byte_s: float, longest_gap_s: float) -> None:
        """Record an answer: the time to its first byte, and its longest pause after that."""
        self._first_bytes.append(first_byte_s)
        self._gaps.append(longest_gap_s)
        self._p99 = None

    def first_byte_s(self, service_s: float, alternatives: Iterable[Patience] = ()) -> float:
        """Time limit to the first byte.

        Args:
            service_s: predicted service time of the request, in seconds.
            alternatives: those of other backends that could answer the same request at once.
                Without any, the request fails at the limit. A backend without enough answers of
                its own is judged by theirs.
        """
        if self._first_byte_s is not None:
            return self._first_byte_s
        least_s, worst_s = LEAST_S, self._worst()[0]
        others = list(alternatives)
        if others:
            judges = [self] if self.answers >= ANSWERS_TO_MOVE else others
            judged_s = [one._worst()[0] for one in judges if one.answers >= ANSWERS_TO_MOVE]
            if judged_s:
                least_s, worst_s = LEAST_TO_MOVE_S, max(worst_s, *judged_s)
        return max(least_s, TIMES_P99 * worst_s) + TIMES_SERVICE * service_s

    @property
    def answers(self) -> int:
        """Number of answers from which its limits are learned."""
        return len(self._first_bytes)

    def idle_s(self) -> float:
        """Time limit between bytes."""
        if self._idle_s is not None:
            return self._idle_s
        return max(LEAST_S, TIMES_P99 * self._worst()[1])

    def suspect_s(self) -> float:
        """Silence of the whole backend after which it gets a trial."""
        return max(SUSPECT_S, SUSPECT_TIMES_P99 * self._worst()[0])

    def _worst(self) -> tuple[float, float]:
        """99th percentiles of the time to the first byte and of the longest pause."""
        if self._p99 is None:
            self._p99 = _p99(self._first_bytes), _p99(self._gaps)
        return self._p99


def _p99(seen: deque[float]) -> float:
    return sorted(seen)[(99 * len(seen)) // 100] if seen else 0.0
