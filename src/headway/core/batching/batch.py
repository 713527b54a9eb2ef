"""A batch, and the decision to run it."""

from __future__ import annotations

from dataclasses import dataclass

from headway.core.decision import Reject
from headway.core.request import Request


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Requests that start, run and end together."""

    id: int
    requests: tuple[Request, ...]
    """At least one, in the order of their results."""
    size: int
    """Padded number of items: the next size that the model takes."""
    length: int
    """Padded length of every item, in tokens."""
    launched_s: float
    predicted_s: float
    """Duration by the fitted curve."""

    def __len__(self) -> int:
        return len(self.requests)


@dataclass(frozen=True, slots=True)
class Launch:
    """Run this batch on a free worker now."""

    batch: Batch

    def __str__(self) -> str:
        ids = " ".join(request.id for request in self.batch.requests)
        return f"launch {self.batch.id} of {self.batch.size} x {self.batch.length}: {ids}"


BatchDecision = Launch | Reject
