"""What a request got so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Served:
    """Where, when and how much. Times are seconds on the dispatcher's clock; -1: not yet."""

    backend: str = ""
    """The last one it ran on."""
    first_token_s: float = -1.0
    last_token_s: float = -1.0
    ended_s: float = -1.0
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    billed_tokens: int | None = None
    """Output tokens by the backend's usage, or counted in its whole answer; None before."""
    failovers: int = 0
    """Runs that it lost with their backend."""
