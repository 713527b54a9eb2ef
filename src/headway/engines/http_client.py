"""HTTP client of one backend; turns all connection failures into BackendGone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

import aiohttp
import msgspec
from aiohttp.connector import AddrInfoType

from headway.engines.endpoint import Endpoint
from headway.engines.engine import BackendGone
from headway.engines.event_stream import EventStreamParser
from headway.unreachable import why_unreachable

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
PROBE_TIMEOUT_S = 10.0
READ_BUFFER_BYTES = 128 * 1024
"""aiohttp stops reading from a backend at twice this much unread data."""
MAX_HEADER_BYTES = 32 * 1024
"""Maximum size of a response header."""
_BROKEN = (aiohttp.ClientError, OSError, UnicodeError)
"""TimeoutError is an OSError; an invalid host name raises UnicodeError. `open` keeps
none as a cause, as some hold the request's headers."""
_ON_POST = {"Content-Type": "application/json"}


class HttpClient:
    """The connections to one endpoint. Create it inside a running event loop.

    Paths are as in `Endpoint.address`.
    """

    def __init__(self, endpoint: Endpoint, *, keep_alive: bool = True) -> None:
        self._label = f"{endpoint.name} ({endpoint.url})"
        self._endpoint = endpoint
        self._addresses: dict[str, str] = {}
        self._responses: set[Forwarded] = set()
        headers = {"User-Agent": "headway", "Accept-Encoding": "identity"}
        if endpoint.authorization:
            headers["Authorization"] = endpoint.authorization
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, force_close=not keep_alive, socket_factory=_socket_that_notices_vanishing
            ),
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )

    async def open(
        self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Forwarded:
        """Send POST with `body`, or GET without one. Returns the response with an unread body.

        If a reused connection breaks before the response begins, the request is sent once more:
        the server may just have closed an idle connection. Raises BackendGone.
        """
        sending = _Sending()
        _sending.set(sending)
        try:
            try:
                response = await self._send(path, body, headers)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                # aiohttp itself retries a GET.
                if body is None or sending.connected or not _unanswered(error):
                    raise
                response = await self._send(path, body, headers)
        except _BROKEN as error:
            raise self.gone(error) from None
        forwarded = Forwarded(self, response)
        self._responses.add(forwarded)
        return forwarded

    async def fetch(
        self, path: str, body: bytes | None = None, *, timeout_s: float = PROBE_TIMEOUT_S
    ) -> tuple[int, bytes]:
        """Send a short request; returns status and whole body. Raises BackendGone."""
        response: Forwarded | None = None
        try:
            async with asyncio.timeout(timeout_s):
                response = await self.open(path, body)
                return response.status, await response.read()
        except TimeoutError as error:
            raise self.gone(error) from None
        finally:
            if response is not None:
                response.close()

    async def ask(self, path: str, expect: type[T], body: Any = None) -> T | None:
        """As `fetch`, decoded as `expect`; None if the status is not 200 or decoding fails."""
        sent = None if body is None else msgspec.json.encode(body)
        status, answer = await self.fetch(path, sent)
        if status != 200:
            return None
        try:
            return msgspec.json.decode(answer, type=expect)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def gone(self, error: BaseException | str) -> BackendGone:
        """A BackendGone that names the backend and the problem."""
        return BackendGone(f"{self._label}: {_reason(error)}", refused=_refused(error))

    async def close(self) -> None:
        """Close every connection; pending reads get BackendGone."""
        for response in list(self._responses):
            response.close()
        await self._session.close()

    def closed(self, response: Forwarded) -> None:
        """Called by `response` when it is closed."""
        self._responses.discard(response)

    async def _send(
        self, path: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> aiohttp.ClientResponse:
        if self._session.closed:
            raise self.gone("its connections were closed")
        address = self._addresses.get(path)
        if address is None:
            address = self._addresses[path] = self._endpoint.address(path)
        return await self._session.request(
            "GET" if body is None else "POST",
            address,
            data=body,
            headers={**_ON_POST, **(headers or {})} if body is not None else headers,
            allow_redirects=False,
        )


class Forwarded:
    """A response, passed through as it arrives."""

    __slots__ = ("_client", "_response", "content_type", "headers", "status")

    def __init__(self, client: HttpClient, response: aiohttp.ClientResponse) -> None:
        self._client = client
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        """Case-insensitive by name."""
        self.content_type = response.headers.get("Content-Type", "application/json")

    async def read(self) -> bytes:
        """The whole body. Raises BackendGone if it breaks off."""
        try:
            return await self._response.content.read()
        except _BROKEN as error:
            raise self._client.gone(error) from error

    async def part(self) -> bytes:
        """The next piece of the body, empty at its end. Raises BackendGone if it breaks off."""
        try:
            return await self._response.content.readany()
        except _BROKEN as error:
            raise self._client.gone(error) from error

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, piece by piece as it arrives. Raises BackendGone if it breaks off."""
        while block := await self.part():
            yield block

    async def events(self) -> AsyncIterator[bytes]:
        """The data of each server-sent event. Raises BackendGone if the stream breaks off."""
        parser = EventStreamParser()
        async for chunk in self.chunks():
            for event in parser.feed(chunk):
                if event.data is not None:
                    yield event.data
        for event in parser.close():
            if event.data is not None:
                yield event.data

    def close(self) -> None:
        """Release the connection; close it if part of the body is unread."""
        self._response.close()
        self._client.closed(self)


class _Sending:
    """A request that is being sent."""

    __slots__ = ("connected",)

    def __init__(self) -> None:
        self.connected = False
        """Whether it opened a new connection instead of reusing one."""


_sending: ContextVar[_Sending] = ContextVar("_sending")
"""The current task's request: aiohttp opens a socket in the context of the request for it. (A
TraceConfig would report the same, but costs 17 µs a request.)"""


def _unanswered(error: aiohttp.ClientConnectionError) -> bool:
    """Whether the connection broke before the response began."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return isinstance(error.message, str)  # otherwise it is the part of the header that arrived
    return not isinstance(error, aiohttp.ClientConnectorError)


def _refused(error: BaseException | str) -> bool:
    """Whether nothing listens at the address."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    return isinstance(error, ConnectionRefusedError)


def _reason(error: BaseException | str) -> str:
    if isinstance(error, str):
        return error
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {why_unreachable(error)}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "it closed the connection in the middle of its answer"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"its answer is not valid HTTP: {error.message}"
    if isinstance(error, aiohttp.InvalidURL):
        return "its URL is not valid"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def _socket_that_notices_vanishing(address: AddrInfoType) -> socket.socket:
    """A socket whose connection breaks within a minute after the other machine disappears."""
    _sending.get().connected = True
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    with contextlib.suppress(OSError):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made
