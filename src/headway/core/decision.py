"""The decisions of the scheduler: three plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from headway.core.request import Request


class RejectReason(Enum):
    """Why a request was rejected."""

    QUEUE_FULL = "queue_full"
    DEADLINE = "deadline"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Start:
    """Run this request on that backend now."""

    request: Request
    backend: str

    def __str__(self) -> str:
        return f"start {self.request.id} on {self.backend}"


@dataclass(frozen=True, slots=True)
class Preempt:
    """Stop this running request now and keep its tokens; it waits in its old place."""

    request: Request
    backend: str

    def __str__(self) -> str:
        return f"preempt {self.request.id} on {self.backend}"


@dataclass(frozen=True, slots=True)
class Reject:
    """Reject this request: it never runs (again)."""

    request: Request
    reason: RejectReason
    retry_after_s: float
    """When the client should try again, from the predicted backlog."""
    predicted_wait_s: float = 0.0

    def __str__(self) -> str:
        return f"reject {self.request.id}: {self.reason.value}"


Decision = Start | Preempt | Reject
