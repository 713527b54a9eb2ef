"""HTTP/1.1 toward a backend, on llhttp: one connection, one exchange at a time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable
from typing import cast

import httptools

HIGH_WATER_BYTES = 256 * 1024
"""Above so much that nobody has read yet, the backend is made to wait."""


class ConnectionLost(ConnectionError):
    """The connection ended in the middle of an exchange."""

    def __init__(self, message: str, *, answered: bool) -> None:
        super().__init__(message)
        self.answered = answered
        """Whether a byte of the response had come."""


class Exchange:
    """A response: its head is there, its body comes."""

    __slots__ = (
        "_blocks",
        "_bytes",
        "_connection",
        "_error",
        "_waiter",
        "complete",
        "headers",
        "status",
    )

    def __init__(self, connection: Connection, status: int, headers: dict[str, str]) -> None:
        self._connection = connection
        self._blocks: deque[bytes] = deque()
        self._bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: ConnectionLost | None = None
        self.status = status
        self.headers = headers
        """By lower-case name."""
        self.complete = False
        """Whether the whole body has come."""

    async def read(self) -> bytes:
        """The whole body (or what is left of it). Raises ConnectionLost."""
        parts: list[bytes] = []
        while True:
            parts += self._blocks
            self._blocks.clear()
            self._bytes = 0
            if self.complete:
                return parts[0] if len(parts) == 1 else b"".join(parts)
            self._connection.resume()
            await self._more()

    async def next(self) -> bytes:
        """The next piece of the body as it arrives; empty at its end. Raises ConnectionLost."""
        blocks = self._blocks
        while not blocks:
            if self.complete:
                return b""
            await self._more()
        block = blocks.popleft()
        self._bytes -= len(block)
        if self._bytes < HIGH_WATER_BYTES:
            self._connection.resume()
        return block

    def close(self) -> None:
        """Be done with it: what has not come yet is not wanted, and the backend is told so."""
        if not self.complete:
            self._connection.abort()

    async def _more(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._connection.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def feed(self, block: bytes) -> bool:
        """A piece of the body came; returns whether there is enough for now."""
        self._blocks.append(block)
        self._bytes += len(block)
        self._wake()
        return self._bytes >= HIGH_WATER_BYTES

    def end(self, error: ConnectionLost | None = None) -> None:
        """The body came whole, or broke off with `error`."""
        self._error = error
        self.complete = error is None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Connection(asyncio.Protocol):
    """One connection.

    Args:
        loop: the event loop it lives in.
        released: told when it can take the next exchange.
        lost: told when it is closed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        released: Callable[[Connection], None],
        lost: Callable[[Connection], None],
    ) -> None:
        self.loop = loop
        self._released = released
        self._lost = lost
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._head: asyncio.Future[Exchange] | None = None
        self._exchange: Exchange | None = None
        self._headers: dict[str, str] = {}
        self._answered = False
        self._paused = False
        self._failure = "it closed the connection"

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent on it any more."""
        return self._transport is None or self._transport.is_closing()

    async def send(self, request: bytes) -> Exchange:
        """Send a whole request; returns once the head of the response is there.

        Raises:
            ConnectionLost: it ended before.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionLost(self._failure, answered=False)
        self._answered = False
        # By the time this task goes on, the next exchange may have begun: its own future is
        # all that it may touch.
        head: asyncio.Future[Exchange] = self.loop.create_future()
        self._head = head
        transport.write(request)
        try:
            return await head
        except asyncio.CancelledError:
            self.abort()
            raise

    def abort(self) -> None:
        """Close it now; whoever reads from it gets ConnectionLost."""
        if self._transport is not None:
            self._transport.abort()

    def resume(self) -> None:
        """Read on after there was enough."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    # ---- asyncio's side ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        _notice_vanished(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        self._answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._failure = f"its answer is not valid HTTP: {error}"
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost(self)
        error = ConnectionLost(str(exc or self._failure), answered=self._answered)
        if self._head is not None and not self._head.done():
            self._head.set_exception(error)
        exchange, self._exchange = self._exchange, None
        if exchange is not None and not exchange.complete:
            headers = exchange.headers
            # A body without length or chunks ends with its connection.
            until_close = "content-length" not in headers and "transfer-encoding" not in headers
            exchange.end(None if until_close and exc is None else error)

    # ---- the parser's side ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        if self._head is None or self._head.done():
            self._failure = "it answered without being asked"
            self.abort()
            return
        self._exchange = Exchange(self, status, self._headers)
        head, self._head = self._head, None
        head.set_result(self._exchange)

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None and self._exchange.feed(body) and self._transport:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        exchange.end()
        self.resume()
        if self._parser.should_keep_alive():
            self._released(self)
        elif self._transport is not None:
            self._transport.close()


def _notice_vanished(made: socket.socket | None) -> None:
    """Let the connection break within a minute when the other machine has vanished."""
    if made is None:
        return
    with contextlib.suppress(OSError):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
