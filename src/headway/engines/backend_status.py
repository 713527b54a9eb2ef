"""What is known of a backend."""

from __future__ import annotations

from dataclasses import dataclass

from headway.engines.engine import VOCABULARY, Description

STARTING = "the embedded engine is starting"
UNASKED = "it has not answered yet"
"""Why a backend is not healthy that was not reached so far."""


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """The current status of one backend; every change makes a new object."""

    name: str
    url: str
    """Empty while an embedded engine is down."""
    description: Description | None
    """The latest one, kept while the backend is down; None before its first answer."""
    healthy: bool
    slots: int
    """Number of requests that it may run at once now: 0 while it is down, paused or failing; while
    it is silent, at most those in flight."""
    error: str | None
    """Why it is not healthy, in one sentence; None if it is."""
    named_models: tuple[str, ...] = ()
    """Models named in the configuration."""
    own: bool = False
    """Whether it is a child process of this gateway, which no other gateway uses."""
    leaving: bool = False
    """Whether it was taken out of the configuration: it finishes what it runs."""
    held: bool = False
    """Whether an operator drains it: it finishes what it runs, and gets no new requests."""

    @property
    def models(self) -> tuple[str, ...]:
        """The models that it serves, as far as known."""
        return self.named_models if self.description is None else self.description.models

    def may_serve(self, lane: str) -> bool:
        """Whether it serves `lane`, as far as known, once it takes requests again.

        One that has never answered may have any vocabulary, and any model if none is named.
        """
        if self.leaving:
            return False
        if self.description is not None:
            return lane in self.description.lanes
        named = self.named_models
        return not named or any(
            f"{lane}{VOCABULARY}".startswith(f"{one}{VOCABULARY}") for one in named
        )

    @property
    def starting(self) -> bool:
        """Whether it is not healthy because it starts: nothing is wrong."""
        return self.error == STARTING

    @property
    def why_down(self) -> str:
        """Why it is not healthy, for a line that names the backend and its address already."""
        known = f"{self.name} ({self.url}): "
        return (self.error or UNASKED).removeprefix(known).rstrip(".")
