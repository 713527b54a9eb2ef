"""All backends together: who is up, with how many slots, and what each of them serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headway.engines.embedded import EmbeddedServer
from headway.engines.endpoint import Endpoint
from headway.engines.engine import Description, Engine


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
    """Requests it may run at once now: 0 while it is down or its breaker is open."""
    error: str | None
    """One sentence, where it is not healthy."""


class BackendPool:
    """Connects to every backend, watches their health, and tells of each change."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        on_change: Callable[[BackendStatus], None],
        *,
        embedded: Sequence[EmbeddedServer] = (),
    ) -> None:
        """`on_change` is called in the event loop for each change of health, slots or models."""
        raise NotImplementedError

    async def start(self) -> None:
        """Start embedded engines and probe the others once.

        A backend that cannot be reached does not fail this: it stays down and is retried.
        Raises ModelError when an embedded engine cannot load its model.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Stop watching, close all connections, stop embedded engines."""
        raise NotImplementedError

    @property
    def statuses(self) -> dict[str, BackendStatus]:
        """The status of every backend by name, in the order configured."""
        raise NotImplementedError

    def engine(self, name: str) -> Engine:
        """The client of that backend, for one dispatch: ask again for the next one.

        Raises BackendGone when it never answered or its embedded engine is down.
        """
        raise NotImplementedError

    def models(self) -> list[str]:
        """Names of all models known, without duplicates, those of backends that are down too."""
        raise NotImplementedError

    def succeeded(
        self, name: str, *, ttft_s: float | None, tpot_s: float | None, in_flight: int
    ) -> None:
        """Feedback: a request ended well there; `in_flight` counts it and those beside it."""
        raise NotImplementedError

    def failed(self, name: str, error: Exception) -> None:
        """Feedback: a request failed there. BackendGone has its health checked at once."""
        raise NotImplementedError
