"""The HTTP server: aiohttp's, with the time limits that it lacks."""

from __future__ import annotations

import asyncio
import logging
import ssl
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from headway.gateway.answer import SERVER
from headway.gateway.descriptors import most_clients
from headway.gateway.errors import ApiError
from headway.gateway.settings import GatewaySettings

logger = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections that the kernel holds for us while we are busy."""
KEEP_ALIVE_S = 75.0
"""How long a connection without a request stays open."""
LINGER_S = 2.0
"""How long the rest of a refused body is read, so that its sender sees the answer."""


class CertificateError(Exception):
    """The certificate or its key cannot be used."""


class Places:
    """How many clients are connected, and how many may be."""

    __slots__ = ("most", "taken")

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0


class Connection(web.RequestHandler):
    """One client's connection, which remembers since when it waits for its client."""

    __slots__ = ("_places", "_refused_s", "head_since_s", "serving", "unread_since_s")

    def __init__(self, manager: web.Server, places: Places, **options: Any) -> None:
        super().__init__(manager, **options)
        self._places = places
        self._refused_s: float | None = None
        """When it was refused; what still comes is not looked at."""
        self.serving = False
        """Whether a request is being answered."""
        self.head_since_s: float | None = None
        """When the first byte of a request came whose head is not whole yet."""
        self.unread_since_s: float | None = None
        """When its client stopped reading what we send."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._places.taken += 1
        if self._places.taken > self._places.most:
            self._refuse(_FULL)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._places.taken -= 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused_s is not None:
            return
        if data and not self.serving and self.head_since_s is None:
            self.head_since_s = self._loop.time()
        super().data_received(data)

    def pause_writing(self) -> None:
        self.unread_since_s = self._loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.unread_since_s = None
        super().resume_writing()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is not valid HTTP, in OpenAI's shape; it ends the connection."""
        reason = (message or "").strip().partition("\n")[0].rstrip(":. ")[:200]
        sentence = f"This is not valid HTTP: {reason or 'it cannot be read'}."
        if isinstance(exc, LineTooLong):
            status, sentence = 431, "A line of the request's head is too long; shorten it."
        response = ApiError(status, sentence, code="invalid_http").response()
        response.force_close()
        return response

    def give_up(self, now_s: float, read_timeout_s: float, send_timeout_s: float) -> None:
        """End a connection whose client has kept it waiting for too long."""
        if self.transport is None:
            return
        if self._refused_s is not None:
            if now_s - self._refused_s > LINGER_S:
                self.force_close()
        elif self.unread_since_s is not None and now_s - self.unread_since_s > send_timeout_s:
            self.transport.abort()
        elif self.head_since_s is not None and now_s - self.head_since_s > read_timeout_s:
            self._refuse(_TOO_SLOW)

    def _refuse(self, error: ApiError) -> None:
        """Answer before any request was read, and read on for a moment.

        Closed at once, the connection would be reset by what the client still sends, and the
        client would never see the answer.
        """
        if self.transport is not None:
            self._refused_s = self._loop.time()
            self.transport.write(_whole(error))
            if self.transport.can_write_eof():
                self.transport.write_eof()


_TOO_SLOW = ApiError(408, "The request did not come in time.", code="request_timeout")
_FULL = ApiError(
    503,
    "Too many clients are connected; try again in a moment.",
    type="server_error",
    code="too_many_connections",
)


def _whole(error: ApiError) -> bytes:
    """An answer to a client whose request was never read, which ends the connection."""
    body = error.body()
    return (
        b"HTTP/1.1 %d %b\r\nServer: %b\r\nConnection: close\r\nRetry-After: 1\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    ) % (error.status, HTTPStatus(error.status).phrase.encode(), SERVER.encode(), len(body), body)


class HttpServer:
    """Serves `application` on one address.

    Args:
        application: its handlers set `Connection.serving`, see `routes.py`.
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
            OSError: the port is taken, or the host is none of this machine.
            CertificateError: there is no TLS with these files.
        """
        settings = self._settings
        tls = self._tls()
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Connection(
                server,
                self._places,
                loop=loop,
                keepalive_timeout=KEEP_ALIVE_S,
                lingering_time=LINGER_S,
                access_log=None,
                auto_decompress=False,
            ),
            settings.host,
            settings.port,
            backlog=BACKLOG,
            ssl=tls,
        )
        self._sweep()
        address, number = self._listener.sockets[0].getsockname()[:2]
        scheme = "http" if tls is None else "https"
        return f"{scheme}://{f'[{address}]' if ':' in address else address}:{number}"

    async def stop(self, limit_s: float) -> None:
        """Close everything; what is being served has `limit_s` to end by itself."""
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
        """End connections that wait for their clients: one timer for all of them."""
        loop = asyncio.get_running_loop()
        read_s, send_s = self._settings.read_timeout_s, self._settings.send_timeout_s
        server = self._runner.server
        assert server is not None
        now_s = loop.time()
        full = self._places.taken >= self._places.most
        if full and not self._full:
            logger.warning(
                "%d clients are connected, as many as the limit of open files allows: more are "
                "refused; raise it (ulimit -n)",
                self._places.most,
            )
        self._full = full
        for connection in server.connections:
            assert isinstance(connection, Connection)
            connection.give_up(now_s, read_s, send_s)
        self._sweeper = loop.call_later(min(1.0, read_s / 4, send_s / 4), self._sweep)
