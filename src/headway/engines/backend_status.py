"""What is known of a backend."""

from __future__ import annotations

from dataclasses import dataclass

from headway.engines.engine import Description


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """What is known of one backend now; a new object for every change."""

    name: str
    url: str
    """Empty while an embedded engine is down."""
    description: Description | None
    """The last one; kept while it is down, None before it first answered."""
    healthy: bool
    slots: int
    """Requests it may run at once now: 0 while it is down, paused, or its breaker is open."""
    error: str | None
    """One sentence, where it is not healthy."""
    named_models: tuple[str, ...] = ()
    """Models that the operator says it has."""

    @property
    def models(self) -> tuple[str, ...]:
        """The models it has, as far as that is known."""
        return self.named_models if self.description is None else self.description.models
