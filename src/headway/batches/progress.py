"""How far the batches are that a process holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts, and what is predicted."""

    batches: Mapping[str, int]
    """Those that are not over, by status; paused ones apart."""
    ended: Mapping[str, int]
    """Those that ended here, by status."""
    answers: Mapping[int, int]
    """Lines that were answered here, by HTTP status."""
    open_lines: int
    """Lines without an answer, of batches in progress."""
    lines_under_way: int
    to_end_s: float
    """Until the last batch whose end is predicted ends."""
    slack_s: float | None
    """The least time that one has left beside what it takes; 0 or less: it expires before its
    end. None: there is none."""
