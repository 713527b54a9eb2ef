"""The HTTP server: listens, keeps its connections, lets the slow and the idle go."""

from __future__ import annotations

import asyncio

from headway.gateway.connection import LINGER_S, Connection, Handler
from headway.gateway.settings import GatewaySettings

BACKLOG = 4096
"""Connections that the kernel holds for us while we are busy."""
KEEP_ALIVE_S = 75.0
"""How long a connection without a request stays open."""


class HttpServer:
    """Serves every request on every connection with `handler`."""

    def __init__(self, handler: Handler, settings: GatewaySettings) -> None:
        self.handler = handler
        self.max_body_bytes = settings.max_body_bytes
        self.closing = False
        self._read_timeout_s = settings.read_timeout_s
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event = asyncio.Event()

    async def start(self, host: str, port: int) -> str:
        """Listen; returns the address as `http://host:port`.

        Raises:
            OSError: the port is taken, or the host is none of this machine.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self, loop), host, port, backlog=BACKLOG
        )
        self._sweep()
        address, number = self._server.sockets[0].getsockname()[:2]
        return f"http://{f'[{address}]' if ':' in address else address}:{number}"

    async def stop(self, limit_s: float) -> None:
        """Close everything; what is being served has `limit_s` to end by itself."""
        self.closing = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            if not connection.busy:
                connection.close()
        if not await self._all_closed(limit_s):
            for connection in list(self._connections):
                connection.cancel()
                connection.close()
            if not await self._all_closed(limit_s):
                for connection in list(self._connections):
                    connection.abort()
                await self._all_closed(limit_s)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def opened(self, connection: Connection) -> None:
        """A client connected."""
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    async def _all_closed(self, limit_s: float) -> bool:
        self._empty.clear()
        if not self._connections:
            return True
        try:
            await asyncio.wait_for(self._empty.wait(), limit_s)
        except TimeoutError:
            return False
        return True

    def _sweep(self) -> None:
        """Let go who is too slow. One timer for all: a timer each would be most of their weight."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for connection in list(self._connections):
            waited_s = now_s - connection.since_s
            if connection.refused:
                if waited_s > LINGER_S and not connection.busy:
                    connection.close()
            elif connection.started:
                if waited_s > self._read_timeout_s and not connection.busy:
                    connection.too_slow()
            elif waited_s > KEEP_ALIVE_S and not connection.busy:
                connection.close()
        self._sweeper = loop.call_later(min(1.0, self._read_timeout_s / 4), self._sweep)
