"""What is written down of refused requests: a line, a row and a count, but no flood of them."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from itertools import count

from headway.gateway.accounts.folding import Folding, Kind
from headway.gateway.accounts.metrics import Metrics
from headway.gateway.accounts.request_lines import request_logger, wanted
from headway.store.history.life import Life
from headway.store.request_log import RequestLog
from headway.store.request_record import Outcome, RequestRecord

MOST_PATH = 200
"""Characters of a path in a line."""
MOST_MESSAGE = 1000
"""Characters of a message in a row."""
FAILURES = (500, 502)
"""Statuses of requests that were not refused, but failed."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was answered with an error before it could be scheduled."""

    method: str
    path: str
    address: str
    """Of the client, or of the proxy in front of it."""
    tenant: str | None
    """Of its key; empty: there are no keys; None: it has no valid one, or comes from a web page."""
    work: bool
    """Whether it asked for work; otherwise it wanted to look at something, and has no row."""
    status: int
    reason: str
    """The error's code."""
    message: str
    user_agent: str = ""
    """Of the client."""

    @property
    def who(self) -> str:
        """Whom the line names."""
        return f"{self.tenant!r} at {self.address}" if self.tenant else self.address


class Refusals:
    """Writes down refused requests.

    Bursts are folded: of refusals that are alike (who, status, reason) the first has a line, the
    others of 10 s have one together. Every one is counted and has its row, but of clients without
    a valid key, and of web pages, only those with a line do: nobody else fills the disk.

    Args:
        metrics: counts them.
        request_log: gets the rows; None: none are kept.
    """

    def __init__(self, metrics: Metrics, request_log: RequestLog | None) -> None:
        self._metrics = metrics
        self._request_log = request_log
        self._folding = Folding()
        self._timer: asyncio.TimerHandle | None = None
        self._prefix = os.urandom(4).hex()
        self._numbers = count(1)

    def note(self, refusal: Refusal) -> None:
        """Write down a request that was refused before it was scheduled."""
        alone = self._alone(Kind(refusal.who, refusal.status, refusal.reason))
        if refusal.work:
            outcome: Outcome = "failed" if refusal.status in FAILURES else "rejected"
            self._metrics.refused(outcome, refusal.reason)
            if self._request_log is not None and (alone or refusal.tenant is not None):
                life = Life(
                    endpoint=refusal.path[:MOST_PATH].removeprefix("/v1/"),
                    user_agent=refusal.user_agent,
                    message=refusal.message[:MOST_MESSAGE],
                )
                self._request_log.write(self._record(refusal, outcome), life=life)
        if alone and wanted():
            request_logger.info(
                "refused %s %s of %s: %d %s: %s",
                refusal.method,
                refusal.path[:MOST_PATH],
                refusal.who,
                refusal.status,
                refusal.reason,
                refusal.message,
            )

    def has_line(self, record: RequestRecord) -> bool:
        """Whether a request that the scheduler refused gets a line of its own."""
        return self._alone(Kind(repr(record.tenant), record.status, record.reason))

    def close(self) -> None:
        """Log what is counted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        _log(self._folding.end(time.monotonic()))

    def _alone(self, kind: Kind) -> bool:
        alone = self._folding.alone(kind, time.monotonic())
        if self._timer is None:
            self._arm()
        return alone

    def _arm(self) -> None:
        at_s = self._folding.next_s()
        if at_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, at_s - time.monotonic()), self._fold)

    def _fold(self) -> None:
        self._timer = None
        _log(self._folding.due(time.monotonic()))
        self._arm()

    def _record(self, refusal: Refusal, outcome: Outcome) -> RequestRecord:
        return RequestRecord(
            id=f"refused-{self._prefix}-{next(self._numbers)}",
            arrival_unix_s=time.time(),
            tier="",
            tenant=refusal.tenant or "",
            outcome=outcome,
            status=refusal.status,
            reason=refusal.reason,
            charged_tokens=0,
            cost=0.0,
        )


def _log(folded: list[tuple[Kind, int, float]]) -> None:
    if wanted():
        for kind, times, for_s in folded:
            request_logger.info(
                "refused %d more of %s in %.0f s: %d %s",
                times,
                kind.who,
                for_s,
                kind.status,
                kind.reason,
            )
