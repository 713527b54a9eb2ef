"""All backends: which are up, with how many slots, and which models they serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from headway.engines.activity import Activity
from headway.engines.backend_status import BackendStatus
from headway.engines.embedded import EmbeddedServer
from headway.engines.endpoint import Endpoint
from headway.engines.engine import BackendGone, Engine, EngineError
from headway.engines.member import Member
from headway.engines.patience import Patience

_FIRST_LOOK_S = 3.0
"""How long `start` waits for backends that do not answer."""


class BackendPool:
    """Connects to all backends, watches their health, and reports each change."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        embedded: Sequence[EmbeddedServer] = (),
    ) -> None:
        self._embedded = tuple(embedded)
        sources: list[Endpoint | EmbeddedServer] = [*embedded, *endpoints]
        self._on_change: Callable[[BackendStatus], None] | None = None
        self._members = {source.name: Member(source, self._changed) for source in sources}
        if len(self._members) < len(sources):
            raise ValueError("two backends have the same name; give each its own")
        self._models = self._known_models()
        """Cached, as every request reads them; they change only when a status changes."""
        self._watchers: list[asyncio.Task[None]] = []
        self._started = False
        self._models_known = asyncio.Event()

    async def start(self, on_change: Callable[[BackendStatus], None]) -> None:
        """Start embedded engines and probe the others once.

        A backend that cannot be reached does not fail this: it stays down and is retried.
        `on_change` is called in the event loop for each change of health, slots or models.
        Raises GgufError if an embedded engine cannot load its model.
        """
        self._on_change = on_change
        try:
            for server in self._embedded:
                await server.start()
        except BaseException:
            await self.close()
            raise
        members = self._members.values()
        self._watchers = [
            asyncio.create_task(member.watch(), name=f"watch {member.name}") for member in members
        ]
        looks = [asyncio.ensure_future(member.tried.wait()) for member in members]
        if looks:
            _, late = await asyncio.wait(looks, timeout=_FIRST_LOOK_S)
            for look in late:
                look.cancel()
        self._started = True
        self._note_models()

    async def wait_for_models(self, limit_s: float) -> None:
        """Wait until the pool has started and knows a model, for at most `limit_s`.

        Before that, a model that seems unknown may only not have been reported yet.
        """
        if self._members and not self._models_known.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await self._models_known.wait()

    async def close(self) -> None:
        """Stop watching, close all connections, and stop embedded engines."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._watchers = []
        await asyncio.gather(*(member.close() for member in self._members.values()))
        await asyncio.gather(*(server.stop() for server in self._embedded))

    @property
    def statuses(self) -> dict[str, BackendStatus]:
        """The status of every backend by name, in configured order."""
        return {name: member.status for name, member in self._members.items()}

    def engine(self, name: str) -> Engine:
        """The client of a backend. Do not keep it between requests: a reconnect replaces it.

        Raises BackendGone while the backend is down.
        """
        member = self._members[name]
        if member.engine is None:
            raise BackendGone(f"{name} is down: {member.status.error}")
        return member.engine

    def activity(self, name: str) -> Activity:
        """Traffic of a backend, over the client that `engine` returns now."""
        return self._members[name].activity

    def patience(self, name: str) -> Patience:
        """How long a backend may be silent."""
        return self._members[name].patience

    def models(self) -> list[str]:
        """Names of all known models, without duplicates; backends that are down are included."""
        return list(self._models)

    def succeeded(self, name: str, request: str, *, tpot_s: float | None, in_flight: int) -> None:
        """Feedback: a request succeeded on this backend; `in_flight` includes it."""
        self._members[name].succeeded(request, tpot_s, in_flight)

    def failed(self, name: str, request: str, error: BackendGone | EngineError) -> None:
        """Feedback: a request failed on this backend, which may be checked at once."""
        self._members[name].failed(request, error)

    def left(self, name: str) -> None:
        """Feedback: a request on this backend ended without a complete answer."""
        self._members[name].left()

    def forgive(self, request: str) -> None:
        """Feedback: a request failed on several backends, so the request is at fault."""
        for member in self._members.values():
            member.forgive(request)

    def _changed(self, status: BackendStatus) -> None:
        self._models = self._known_models()
        if self._on_change is not None:
            self._on_change(status)
        self._note_models()

    def _known_models(self) -> tuple[str, ...]:
        known = (member.status.models for member in self._members.values())
        return tuple(dict.fromkeys(name for models in known for name in models))

    def _note_models(self) -> None:
        if self._started and self.models():
            self._models_known.set()
