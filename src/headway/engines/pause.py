"""Why a backend gets no new requests although it is up."""

from __future__ import annotations

from headway.engines.backend_status import BackendStatus
from headway.engines.breaker import CircuitBreaker
from headway.engines.overload import Overload


def pause(
    status: BackendStatus, breaker: CircuitBreaker, overload: Overload, now_s: float
) -> tuple[str, float]:
    """Why it gets none, empty if it gets some; and for how many seconds, 0.0 if not known."""
    if status.leaving:
        return "it was taken out of the settings, and finishes what it runs", 0.0
    if status.held:
        return "an operator drains it: it finishes what it runs", 0.0
    if breaker.is_silent:
        return "it sends nothing; a trial follows soon", 0.0
    if breaker.is_open:
        return "too many requests failed; a trial follows soon", 0.0
    pause_s = overload.until_s - now_s
    return ("it is overloaded, and paused", pause_s) if pause_s > 0.0 else ("", 0.0)
