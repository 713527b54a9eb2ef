"""A batch: what was asked, how far it is, and which status may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

WINDOW_S = 24 * 3600
"""The one completion window there is, 24 hours."""
MONTH_S = 30 * 24 * 3600


class Status(StrEnum):
    """Where a batch stands, in OpenAI's words."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return not TRANSITIONS[self]


TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.VALIDATING: frozenset(
        {Status.IN_PROGRESS, Status.FAILED, Status.CANCELLING, Status.EXPIRED}
    ),
    Status.IN_PROGRESS: frozenset(
        {Status.FINALIZING, Status.CANCELLING, Status.EXPIRED, Status.FAILED}
    ),
    Status.FINALIZING: frozenset({Status.COMPLETED, Status.FAILED}),
    Status.CANCELLING: frozenset({Status.CANCELLED, Status.FAILED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.EXPIRED: frozenset(),
    Status.CANCELLED: frozenset(),
}
OVER = tuple(str(status) for status in Status if status.over)
"""The statuses in which nothing will change any more, as they are written."""


class WrongStatus(Exception):
    """A batch cannot go from its status to that one."""


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong with the input file, and in which of its lines."""

    code: str
    message: str
    line: int | None = None
    """Counted from 1; None: the whole file."""
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of all answers of a batch, or of one."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch. Times are whole seconds since 1970."""

    id: str
    owner: str
    """The tenant that it belongs to; empty where the gateway has no keys."""
    endpoint: str
    """The path that every line goes to."""
    input_file_id: str
    created_at: int
    expires_at: int
    status: Status = Status.VALIDATING
    metadata: Mapping[str, str] | None = None
    output_expires_s: int = MONTH_S
    """How long output and error file are kept."""
    model: str | None = None
    errors: tuple[LineError, ...] = ()
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    total: int = 0
    """Lines of the input."""
    completed: int = 0
    failed: int = 0
    """Lines whose answer is an error; at the end those that were never answered, too."""
    usage: Usage = NO_USAGE
    paused_at: int | None = None
    """Since when no line begins, by somebody's wish; None: lines begin."""
    key_name: str = ""
    """The name of the API key that began it, whose budget its lines count against; empty: none."""

    @property
    def left(self) -> int:
        """Number of lines without an answer."""
        return self.total - self.completed - self.failed

    def moved(self, status: Status, now: float) -> Batch:
        """This batch in `status` since `now`.

        Raises:
            WrongStatus: that status cannot follow.
        """
        if status not in TRANSITIONS[self.status]:
            raise WrongStatus(f"a batch that is {self.status} does not become {status}")
        since: dict[str, Any] = {f"{status}_at": int(now)}
        return replace(self, status=status, **since)

    def paused(self, now: float) -> Batch:
        """This batch, whose lines do not begin any more; a second time changes nothing.

        Raises:
            WrongStatus: none of them will begin anyway.
        """
        if self.status not in (Status.VALIDATING, Status.IN_PROGRESS):
            raise WrongStatus(f"a batch that is {self.status} is not paused")
        return self if self.paused_at is not None else replace(self, paused_at=int(now))

    def resumed(self) -> Batch:
        """This batch, whose lines begin."""
        return replace(self, paused_at=None)

    def cancelled(self, now: float) -> Batch:
        """This batch after somebody has cancelled it; a second time changes nothing.

        One whose lines have all been answered is completed all the same.

        Raises:
            WrongStatus: it is over, and was not cancelled.
        """
        if self.status in (Status.CANCELLING, Status.CANCELLED, Status.FINALIZING):
            return self
        return self.moved(Status.CANCELLING, now)
