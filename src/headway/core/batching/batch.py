"""A batch, and the decision to run it."""

from __future__ import annotations

from dataclasses import dataclass

from headway.core.decision import Reject
from headway.core.request import Request


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Requests that run together, from start to end."""

    id: int
    requests: tuple[Request, ...]
    """At least one, in the order in which their results must come back."""
    size: int
    """Items that it is run as: as many as requests, or the next size that the model takes."""
    length: int
    """What every item is padded to, in tokens."""
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
