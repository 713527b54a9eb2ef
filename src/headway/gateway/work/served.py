"""What a request has received so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Lost = Literal["preempted", "failed", "moved"]
"""Why a run lost its slot: for another request, its backend failed, or is down or leaving."""


class EndedRun(NamedTuple):
    """A run that lost its slot."""

    backend: str
    began_s: float
    first_s: float
    """When its first part came; -1: none came."""
    ended_s: float
    why: Lost
    output_tokens: int


@dataclass(slots=True)
class Served:
    """Backend, times and tokens. Times are seconds on the dispatcher's clock; -1: not yet."""

    backend: str = ""
    """The last backend that it ran on."""
    first_token_s: float = -1.0
    last_token_s: float = -1.0
    ended_s: float = -1.0
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    billed_tokens: int | None = None
    """Output tokens reported by the backend, or estimated from its whole answer; None: not yet."""
    failovers: int = 0
    """Number of runs that ended because the backend failed, or left."""
    began_s: float = -1.0
    """When its present or last run began; -1: it waits."""
    runs: tuple[EndedRun, ...] = ()
    """The runs that ended before its answer did."""
