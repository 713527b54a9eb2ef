"""All backends: which are up, with how many slots, and which models they serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from headway.engines.activity import Activity
from headway.engines.backend_status import BackendStatus
from headway.engines.embedded import EmbeddedServer
from headway.engines.endpoint import Endpoint
from headway.engines.engine import BackendGone, Engine, EngineError
from headway.engines.member import Member
from headway.engines.patience import Patience

logger = logging.getLogger(__name__)

_FIRST_LOOK_S = 3.0
"""How long `start` and `use` wait for backends that do not answer."""


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
        self._statuses = {name: member.status for name, member in self._members.items()}
        self._models = self._known_models()
        """Cached, as every request reads them; they change only when a status changes."""
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
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
        members = list(self._members.values())
        for member in members:
            if member.name not in self._watchers:  # else it came while the engines started
                self._watch(member)
        await _tried(members)
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
        for member in self._members.values():
            self._end(member)
        await asyncio.gather(*self._closing)
        await asyncio.gather(*(server.stop() for server in self._embedded))

    async def use(self, endpoints: Sequence[Endpoint]) -> None:
        """These are the servers from now on; embedded engines stay.

        A new one takes requests once it was probed, and a changed one goes by its new settings.
        After that, one that is missing is leaving: its status says so, and `drop` ends it.

        Raises:
            ValueError: an embedded engine has the name of one of them, or two have the same.
        """
        named = {endpoint.name: endpoint for endpoint in endpoints}
        embedded = {server.name for server in self._embedded}
        if len(named) < len(endpoints) or embedded & named.keys():
            raise ValueError("two backends have the same name; give each its own")
        missing = [name for name in self._members if name not in named and name not in embedded]
        new = []
        for name, endpoint in named.items():
            if name in self._members:
                self._members[name].use(endpoint)
            else:
                member = self._members[name] = Member(endpoint, self._changed)
                self._changed(member.status)
                self._watch(member)
                new.append(member)
        await _tried(new)
        for name in missing:
            if name in self._members:
                self._members[name].leave()

    def hold(self, name: str, held: bool) -> None:
        """Keep new requests from a backend, or no longer: until then or the next start."""
        self._members[name].hold(held)

    def drop(self, name: str) -> None:
        """Forget a backend that is leaving, and on which nothing runs any more."""
        self._end(self._members.pop(name))
        del self._statuses[name]
        self._models = self._known_models()
        logger.info("backend %s has left", name)

    @property
    def statuses(self) -> Mapping[str, BackendStatus]:
        """The status of every backend by name, as last reported, in the order of their coming."""
        return self._statuses

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
        """Names of all known models, without duplicates.

        Those of backends that are down are included, and those of backends that leave are not.
        """
        return list(self._models)

    def succeeded(self, name: str, request: str, *, tpot_s: float | None, in_flight: int) -> None:
        """Feedback: a request succeeded on this backend; `in_flight` includes it."""
        self._members[name].succeeded(request, tpot_s, in_flight)

    def failed(self, name: str, request: str, error: BackendGone | EngineError) -> None:
        """Feedback: a request failed on this backend, which may be checked at once."""
        if (member := self._members.get(name)) is not None:  # else it was dropped meanwhile
            member.failed(request, error)

    def left(self, name: str) -> None:
        """Feedback: a request on this backend ended without a complete answer."""
        self._members[name].left()

    def forgive(self, request: str) -> None:
        """Feedback: a request failed on several backends, so the request is at fault."""
        for member in self._members.values():
            member.forgive(request)

    def _watch(self, member: Member) -> None:
        name = f"watch {member.name}"
        self._watchers[member.name] = asyncio.create_task(member.watch(), name=name)

    def _end(self, member: Member) -> None:
        """Stop watching `member` at once, and close its connections."""
        watcher = self._watchers.pop(member.name, None)
        if watcher is not None:
            watcher.cancel()
        closing = asyncio.ensure_future(_closed(member, watcher))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _changed(self, status: BackendStatus) -> None:
        self._statuses[status.name] = status
        self._models = self._known_models()
        if self._on_change is not None:
            self._on_change(status)
        self._note_models()

    def _known_models(self) -> tuple[str, ...]:
        known = (status.models for status in self._statuses.values() if not status.leaving)
        return tuple(dict.fromkeys(name for models in known for name in models))

    def _note_models(self) -> None:
        if self._started and self.models():
            self._models_known.set()


async def _tried(members: Sequence[Member]) -> None:
    """Wait until each was probed once, if that does not take too long."""
    looks = [asyncio.ensure_future(member.tried.wait()) for member in members]
    if looks:
        _, late = await asyncio.wait(looks, timeout=_FIRST_LOOK_S)
        for look in late:
            look.cancel()


async def _closed(member: Member, watcher: asyncio.Task[None] | None) -> None:
    if watcher is not None:
        await asyncio.gather(watcher, return_exceptions=True)
    await member.close()
