"""One client's connection: bytes in, one task a request, bytes out.

It parses with llhttp (httptools) and holds no more than a waiting request needs: ten thousand
of them are an ordinary day. What is not valid, too large or too slow is answered and let go.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

import httptools

from headway.gateway.errors import ApiError, internal
from headway.gateway.http_message import HttpRequest, Response

logger = logging.getLogger(__name__)

Handler = Callable[[HttpRequest], Awaitable[Response | None]]
"""Answers a request; None where it sent the response itself, as a stream."""

MAX_HEAD_BYTES = 32 * 1024
LINGER_S = 2.0
"""How long a body that nobody wants is read on, so that its sender sees the error answer."""

# Nothing is upgraded to here; without this llhttp would take the body for another protocol.
_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)


class Owner(Protocol):
    """What a connection needs to know of its server."""

    handler: Handler
    max_body_bytes: int
    closing: bool

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """Reads requests, one after the other, and writes their responses in the same order."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_drained",
        "_head_bytes",
        "_headers",
        "_loop",
        "_parser",
        "_queue",
        "_refused",
        "_server",
        "_target",
        "_task",
        "_transport",
        "since_s",
        "started",
    )

    def __init__(self, server: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._queue: deque[HttpRequest] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._refused = False
        self._target = b""
        self._headers: dict[str, str] | None = None
        self._body: list[bytes] | None = None
        self._body_bytes = 0
        self._head_bytes = 0
        self.started = False
        """Whether a request is under way that has not come whole."""
        self.since_s = loop.time()
        """Since when it waits for what it waits for: a request, or the rest of one."""

    # ---- asyncio's side ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.closed(self)
        if self._task is not None:
            self._task.cancel()
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ConnectionResetError("the client is gone"))

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._headers is None:
            if not self.started:
                self.started = True
                self.since_s = self._loop.time()
            self._head_bytes += len(data)
            if b"pgrade:" in data or b"PGRADE:" in data:
                head, separator, rest = data.partition(b"\r\n\r\n")
                data = _UPGRADE.sub(b"\r\nx-pgrade:", head) + separator + rest
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "This is not valid HTTP here: there is nothing to upgrade to.")
        except httptools.HttpParserError as error:
            if not self._refused:
                self._refuse(400, f"This is not valid HTTP: {str(error)[:200]}.")
        if self._headers is None and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, f"The request's head is larger than {MAX_HEAD_BYTES} bytes.")

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # ---- the parser's side ------------------------------------------------------------------

    def on_url(self, target: bytes) -> None:
        self._target += target
        if len(self._target) > MAX_HEAD_BYTES:
            self._refuse(414, f"The request's path is larger than {MAX_HEAD_BYTES} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._headers is None:
            self._headers = {}
            self._head_bytes = len(self._target)
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, f"The request's head is larger than {MAX_HEAD_BYTES} bytes.")
            return
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        headers = self._headers
        if headers is None:
            headers = self._headers = {}
        most = self._server.max_body_bytes
        if self._refused:
            return
        length = headers.get("content-length", "0")
        if len(length) > 18 or int(length) > most:
            self._too_large()
        elif headers.get("expect", "").lower() == "100-continue" and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        if self._body is None:
            self._body = []
        self._body_bytes += len(body)
        if self._body_bytes > self._server.max_body_bytes:
            self._too_large()
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._refused:
            return
        parts = self._body or ()
        target = self._target
        if not target.startswith(b"/"):
            target = httptools.parse_url(target).path or b"/"
        request = HttpRequest(
            self,
            self._parser.get_method().decode("latin-1"),
            target,
            self._headers or {},
            parts[0] if len(parts) == 1 else b"".join(parts),
            self._parser.get_http_version(),
            self._parser.should_keep_alive(),
        )
        self._target = b""
        self._headers = self._body = None
        self._body_bytes = self._head_bytes = 0
        self.started = False
        if self._task is None:
            self._task = self._loop.create_task(self._serve(request))
            return
        if self._queue is None:
            self._queue = deque()
        self._queue.append(request)
        if self._transport is not None:
            self._transport.pause_reading()

    # ---- serving ----------------------------------------------------------------------------

    async def _serve(self, request: HttpRequest) -> None:
        try:
            response = await self._server.handler(request)
        except (ConnectionError, asyncio.CancelledError):
            self.abort()
            return
        except Exception:
            # The handler answers every error that it knows; this is one of our own.
            logger.exception("cannot serve %s %s", request.method, request.path)
            if request.streaming:
                self.abort()
                return
            response = internal().response()
        transport = self._transport
        if transport is None:
            return
        keep_alive = request.keep_alive and not self._server.closing and not self._refused
        if response is not None:
            with_body = request.method != "HEAD"
            transport.write(response.encode(keep_alive=keep_alive, with_body=with_body))
        self._task = None
        self.since_s = self._loop.time()
        if not keep_alive:
            transport.close()
        elif self._queue:
            self._task = self._loop.create_task(self._serve(self._queue.popleft()))
            if not self._queue:
                self._queue = None
                transport.resume_reading()

    def send(self, data: bytes) -> None:
        """Put `data` on its way. Raises ConnectionResetError once the client is gone."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(data)

    @property
    def clogged(self) -> bool:
        """Whether the client takes data more slowly than it comes."""
        return self._drained is not None

    async def flush(self) -> None:
        """Wait until it is not clogged any more."""
        if self._drained is not None:
            await self._drained

    # ---- the end ----------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a request is being served."""
        return self._task is not None

    @property
    def refused(self) -> bool:
        """Whether it is only kept so that its client can read why."""
        return self._refused

    def too_slow(self) -> None:
        """Answer a request that did not come whole in time."""
        self._refuse(408, "The request did not come in time.", "request_timeout")

    def close(self) -> None:
        """Close it once what was written is sent."""
        if self._transport is not None:
            self._transport.close()

    def cancel(self) -> None:
        """Stop serving its request."""
        if self._task is not None:
            self._task.cancel()

    def abort(self) -> None:
        """Close it now."""
        if self._transport is not None:
            self._transport.abort()

    def _too_large(self) -> None:
        most = self._server.max_body_bytes
        self._refuse(
            413, f"The request body is larger than {most} bytes; shorten it.", "body_too_large"
        )

    def _refuse(self, status: int, message: str, code: str = "invalid_http") -> None:
        """Answer what is no request, and read nothing more; the server closes it soon."""
        if self._refused:
            return
        self._refused = True
        self.since_s = self._loop.time()
        transport = self._transport
        if self._task is None and transport is not None:
            response = ApiError(status, message, code=code).response()
            transport.write(response.encode(keep_alive=False))
            if transport.can_write_eof():
                transport.write_eof()
