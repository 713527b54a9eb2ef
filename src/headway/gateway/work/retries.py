"""The failed runs of one request, and when and where it may be retried."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

FIRST_PAUSE_S = 0.25
FIRST_PAUSE_OF_LINE_S = 2.0
"""Nobody waits for a line of a batch, and its engine may need a while."""
MOST_PAUSE_S = 8.0
MOST_RETRY_AFTER_S = 5.0
"""If a backend asks for a longer wait, its answer and Retry-After go to the client."""


@dataclass(slots=True)
class Retries:
    """The failed runs of a request since its last token."""

    pause_s: float = FIRST_PAUSE_S
    """Before the next round."""
    runs: int = 0
    failed_on: frozenset[str] = frozenset()
    avoid: frozenset[str] = frozenset()
    """Backends that failed in this round: the next run avoids them if it can."""

    def failed(
        self,
        backend: str,
        others: Collection[str],
        *,
        most_runs: int,
        here_again: bool,
        retry_after_s: float | None,
        jitter: float,
    ) -> float | None:
        """A run on `backend` failed. Returns seconds until the next run; None: give up.

        Another backend is tried at once. When all have failed, a new round begins after a pause
        that doubles with every round.

        Args:
            backend: the backend that failed.
            others: all backends that could run the request now.
            most_runs: maximum number of failed runs.
            here_again: whether `backend` itself may succeed later.
            retry_after_s: Retry-After of `backend`, in seconds from now.
            jitter: 0 to 1, so that requests that failed together are not retried together.
        """
        self.runs += 1
        self.failed_on |= {backend}
        self.avoid |= {backend}
        if self.runs >= most_runs:
            return None
        if any(name not in self.avoid for name in others):
            return 0.0
        if not here_again or (retry_after_s or 0.0) > MOST_RETRY_AFTER_S:
            return None
        pause_s = (0.5 + jitter) * self.pause_s
        self.pause_s = min(2.0 * self.pause_s, MOST_PAUSE_S)
        self.avoid = frozenset((backend,))
        return max(pause_s, retry_after_s or 0.0)
