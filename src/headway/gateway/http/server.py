"""The HTTP server: aiohttp's, with the time limits for slow clients that it lacks."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from http import HTTPStatus
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import LineTooLong

from headway.gateway.api.answer import SERVER
from headway.gateway.api.errors import ApiError, internal
from headway.gateway.http.base_path import below
from headway.gateway.http.descriptors import most_clients
from headway.gateway.settings import GatewaySettings

logger = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections that the kernel queues while the event loop is busy."""
KEEP_ALIVE_S = 75.0
"""How long an idle connection stays open."""
LINGER_S = 2.0
"""How long the rest of a refused request is read, so that its client sees the answer."""
BLIND_S = 1.0
"""How long a request is served while reading from its client is paused. (The client sent more data
than aiohttp buffers.) Until reading resumes, a disconnect goes unnoticed."""
TAIL_BYTES = 32
"""How many of the last bytes are kept: enough to see whether a request ended there."""


class CertificateError(Exception):
    """The certificate or its key cannot be used."""


class Places:
    """The number of connected clients, and its maximum."""

    __slots__ = ("most", "taken")

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0


class Connection(web.RequestHandler):
    """One client's connection; it knows since when it has been waiting for the client."""

    __slots__ = (
        "_blind_since_s",
        "_body",
        "_head_since_s",
        "_places",
        "_refused_s",
        "_serving",
        "_tail",
        "_unread_since_s",
    )

    def __init__(self, manager: web.Server, places: Places, **options: Any) -> None:
        super().__init__(manager, **options)
        self._places = places
        self._refused_s: float | None = None
        """When it was refused; later data is ignored."""
        self._serving = False
        self._body: StreamReader | None = None
        """The body of the latest request."""
        self._tail = b""
        """The last bytes received."""
        self._head_since_s: float | None = None
        """Since when the connection has been waiting for the header of a request."""
        self._blind_since_s: float | None = None
        """Since when reading has been paused although the request is complete."""
        self._unread_since_s: float | None = None
        """Since when the client has not been reading the answer."""

    def begin(self, request: web.BaseRequest) -> None:
        """A request arrived, and is now being answered."""
        self._serving, self._body = True, request.content
        self._head_since_s = None
        self.keep_alive(True)  # stops the timer that aiohttp sets for every idle connection

    def end(self, body_end: bytes) -> None:
        """The answer is complete, or about to be.

        Args:
            body_end: the last bytes of the request's body; empty if it had none or was not read.
        """
        self._serving, self._blind_since_s = False, None
        assert self._body is not None
        # Headers and chunked bodies end with an empty line. If the last bytes are neither that nor
        # the end of the body, the next header has begun.
        tail, body_end = self._tail, body_end[-TAIL_BYTES:]
        whole = tail.endswith(b"\r\n\r\n") or (body_end != b"" and tail.endswith(body_end))
        if self._body.is_eof() and not whole:
            self._head_since_s = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._head_since_s = self._loop.time()
        self._places.taken += 1
        if self._places.taken > self._places.most:
            self.refuse(_FULL)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._places.taken -= 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused_s is not None:
            return
        if data:
            of_body = self._body is not None and not self._body.is_eof()
            if not self._serving and not of_body and self._head_since_s is None:
                self._head_since_s = self._loop.time()
            full = len(data) >= TAIL_BYTES
            self._tail = data[-TAIL_BYTES:] if full else (self._tail + data)[-TAIL_BYTES:]
        super().data_received(data)

    def pause_writing(self) -> None:
        self._unread_since_s = self._loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread_since_s = None
        super().resume_writing()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to invalid HTTP, in OpenAI's format; it ends the connection."""
        if status >= 500:
            logger.error("cannot serve a request", exc_info=exc)
            error = internal()
        elif isinstance(exc, LineTooLong):
            message = "A line of the request's header is too long; shorten it."
            error = ApiError(431, message, code="invalid_http")
        else:
            reason = (message or "").strip().partition("\n")[0].rstrip(":. ")[:200]
            message = f"This is not valid HTTP: {reason or 'it cannot be read'}."
            error = ApiError(status, message, code="invalid_http")
        response = error.response()
        response.force_close()
        return response

    def give_up(self, now_s: float, read_timeout_s: float, send_timeout_s: float) -> None:
        """End the connection if its client has kept it waiting for too long."""
        if self.transport is None:
            return
        if self._refused_s is not None:
            if now_s - self._refused_s > LINGER_S:
                self.force_close()
        elif self._unread_since_s is not None and now_s - self._unread_since_s > send_timeout_s:
            self.transport.abort()
        elif self._serving:
            self._give_up_blind(now_s)
        elif self._head_since_s is not None and now_s - self._head_since_s > read_timeout_s:
            if self._tail:
                self.refuse(_TOO_SLOW)
            else:
                self.force_close()

    def _give_up_blind(self, now_s: float) -> None:
        assert self.transport is not None and self._body is not None
        if self.transport.is_reading() or not self._body.is_eof():
            self._blind_since_s = None
        elif self._blind_since_s is None:
            self._blind_since_s = now_s
        elif now_s - self._blind_since_s > BLIND_S:
            self.transport.abort()

    def refuse(self, error: ApiError) -> None:
        """Answer without waiting for a request, and keep the connection open for `LINGER_S`.

        If it were closed at once, data that the client still sends would reset it, and the client
        would not see the answer.
        """
        if self.transport is not None:
            self._refused_s = self._loop.time()
            self.transport.write(_whole(error))
            if self.transport.can_write_eof():
                self.transport.write_eof()


_TOO_SLOW = ApiError(408, "The request did not arrive in time.", code="request_timeout")
_FULL = ApiError(
    503,
    "Too many clients are connected; try again in a moment.",
    type="server_error",
    code="too_many_connections",
)


def _whole(error: ApiError) -> bytes:
    """The bytes of an answer that ends the connection."""
    body = error.body()
    return (
        b"HTTP/1.1 %d %b\r\nServer: %b\r\nConnection: close\r\nRetry-After: 1\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    ) % (error.status, HTTPStatus(error.status).phrase.encode(), SERVER.encode(), len(body), body)


class HttpServer:
    """Serves `application` on one address.

    Args:
        application: its middleware calls `Connection.begin` and `end` (`routes/surround.py`).
        settings: address, TLS and time limits.
    """

    def __init__(self, application: web.Application, settings: GatewaySettings) -> None:
        self._runner = web.AppRunner(application, handler_cancellation=True)
        self._settings = settings
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._places = Places(most_clients())
        self._full = False

    async def start(self) -> str:
        """Listen; returns the address, such as `http://127.0.0.1:8080`.

        Raises:
            OSError: the port is in use, or the host is not an address of this machine.
            CertificateError: the certificate or its key cannot be used.
        """
        settings = self._settings
        tls = self._tls()
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        if settings.base_path:
            server.request_factory = below(settings.base_path, server.request_factory)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Connection(
                server,
                self._places,
                loop=loop,
                keepalive_timeout=KEEP_ALIVE_S,
                tcp_keepalive=False,  # inherited from the listener
                lingering_time=LINGER_S,
                access_log=None,
                auto_decompress=False,
            ),
            settings.host,
            settings.port,
            backlog=BACKLOG,
            ssl=tls,
        )
        for listening in self._listener.sockets:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._sweep()
        address, number = self._listener.sockets[0].getsockname()[:2]
        scheme = "http" if tls is None else "https"
        return f"{scheme}://{f'[{address}]' if ':' in address else address}:{number}"

    async def stop(self, limit_s: float) -> None:
        """Stop listening and close all connections; running requests have `limit_s` to end."""
        if self._listener is not None:
            self._listener.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        server = self._runner.server
        if server is not None:
            server.pre_shutdown()
            await server.shutdown(limit_s)
        await self._runner.cleanup()

    def _tls(self) -> ssl.SSLContext | None:
        cert, key = self._settings.tls_cert, self._settings.tls_key
        if cert is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(cert, key)
        except OSError as error:
            raise CertificateError(
                f"tls_cert {cert} cannot be used ({error.strerror or error}): give a PEM file "
                "with a certificate, and its key in the same file or in tls_key"
            ) from None
        return context

    def _sweep(self) -> None:
        """End connections that have waited too long: one timer checks all of them."""
        loop = asyncio.get_running_loop()
        read_s, send_s = self._settings.read_timeout_s, self._settings.send_timeout_s
        server = self._runner.server
        assert server is not None
        now_s = loop.time()
        full = self._places.taken >= self._places.most
        if full and not self._full:
            logger.warning(
                "%d clients are connected, the maximum under the limit of open files: more are "
                "refused; raise the limit (ulimit -n)",
                self._places.most,
            )
        self._full = full
        for connection in server.connections:
            assert isinstance(connection, Connection)
            connection.give_up(now_s, read_s, send_s)
        self._sweeper = loop.call_later(min(1.0, read_s / 4, send_s / 4), self._sweep)
