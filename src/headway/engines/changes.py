"""The lines that a backend's changes leave in the log."""

from __future__ import annotations

import logging

from headway.engines.backend_status import BackendStatus

logger = logging.getLogger(__name__)

MOST_NAMED = 5
"""Models that a line names; of more it gives the number."""
MOST_REASONS = 8
"""Different reasons that are logged while a backend stays down."""


class Changes:
    """Writes one line for each change of a backend that matters to an operator, with why.

    The first failed look counts as a change: a backend that is down at the start is logged.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._down_since_s: float | None = None
        self._reasons: set[str] = set()
        """Why it is down: all that was logged since it went down."""
        self._models: tuple[str, ...] | None = None
        """None: it was never up."""
        self._up = False
        self._paused = ""

    def look(self, status: BackendStatus, paused: str, paused_s: float, now_s: float) -> None:
        """Compare with what was logged last, and log what is new.

        Args:
            status: the current one.
            paused: why it gets no new requests although it is up; empty: it gets some.
            paused_s: for how long; 0.0: that is not known.
            now_s: the current time, in seconds.
        """
        if not status.healthy:
            self._down(status, now_s)
        elif not self._up:
            self._came_up(status, now_s)
        else:
            if status.models != self._models:
                logger.info("backend %s now serves %s", self._name, named(status.models))
                self._models = status.models
            self._pause(paused, paused_s)

    def _down(self, status: BackendStatus, now_s: float) -> None:
        reason = status.why_down
        if self._up or self._down_since_s is None:
            self._down_since_s = now_s
            self._reasons = set()
        if reason not in self._reasons and len(self._reasons) < MOST_REASONS:
            still = "still " if self._reasons else ""
            where = f" at {status.url}" if status.url else ""
            logger.warning("backend %s%s is %sdown: %s", self._name, where, still, reason)
            self._reasons.add(reason)
        self._up, self._paused = False, ""

    def _came_up(self, status: BackendStatus, now_s: float) -> None:
        after = ""
        if self._down_since_s is not None:
            after = f" after {now_s - self._down_since_s:.1f} s"
        logger.info(
            "backend %s is up at %s%s: it serves %s, %s at once",
            self._name,
            status.url,
            after,
            named(status.models),
            requests(status.slots),
        )
        self._up, self._models = True, status.models

    def _pause(self, paused: str, paused_s: float) -> None:
        if paused == self._paused:
            return
        if paused:
            until = f" for {paused_s:.1f} s" if paused_s else ""
            logger.warning("backend %s gets no requests: %s%s", self._name, paused, until)
        else:
            logger.info("backend %s gets requests again", self._name)
        self._paused = paused


def requests(count: int) -> str:
    """So many requests, in a line of text."""
    return "1 request" if count == 1 else f"{count} requests"


def named(models: tuple[str, ...]) -> str:
    """The names of `models` in a line of text."""
    if not models:
        return "no model"
    more = len(models) - MOST_NAMED
    return ", ".join(models[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
