"""HTTP toward one backend, with everything that breaks turned into BackendGone."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from headway.engines.endpoint import Endpoint
from headway.engines.engine import BackendGone
from headway.engines.exchange import Connection, ConnectionLost, Exchange

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
PROBE_TIMEOUT_S = 10.0
_BROKEN = (ConnectionError, TimeoutError, OSError)


class HttpClient:
    """A connection pool to one base URL. Made inside a running event loop."""

    def __init__(self, endpoint: Endpoint, *, keep_alive: bool = True) -> None:
        self._label = f"{endpoint.name} ({endpoint.base_url})"
        url = urlsplit(endpoint.base_url)
        secure = url.scheme == "https"
        self._host = url.hostname or "localhost"
        self._port = url.port or (443 if secure else 80)
        self._tls = ssl.create_default_context() if secure else None
        self._prefix = url.path.rstrip("/")
        lines = f"Host: {url.netloc.rpartition('@')[2]}\r\nAccept: */*\r\n"
        if endpoint.api_key:
            lines += f"Authorization: Bearer {endpoint.api_key}\r\n"
        if not keep_alive:
            lines += "Connection: close\r\n"
        self._lines = lines.encode()
        self._keep_alive = keep_alive
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._loop = asyncio.get_running_loop()
        self._closed = False

    async def open(self, path: str, body: bytes | None = None) -> Exchange:
        """POST `body`, or GET without one; the response, its body not read yet.

        A kept-alive connection that breaks before the first byte of the response may just have
        been closed by the server: then the request is sent once more. Raises BackendGone.
        """
        request = self._request(path, body)
        try:
            while self._idle:
                connection = self._idle.pop()
                if connection.closed:
                    continue
                try:
                    return await connection.send(request)
                except ConnectionLost as error:
                    if error.answered:
                        raise
                    break
            return await (await self._connect()).send(request)
        except _BROKEN as error:
            raise self.gone(error) from error

    async def fetch(
        self, path: str, body: bytes | None = None, *, timeout_s: float = PROBE_TIMEOUT_S
    ) -> tuple[int, bytes]:
        """Status and whole body of a short exchange. Raises BackendGone."""
        exchange: Exchange | None = None
        try:
            async with asyncio.timeout(timeout_s):
                exchange = await self.open(path, body)
                return exchange.status, await exchange.read()
        except _BROKEN as error:
            raise self.gone(error) from error
        finally:
            if exchange is not None:
                exchange.close()

    async def ask(self, path: str, expect: type[T], body: Any = None) -> T | None:
        """Body of a short exchange as `expect`; None for an error status or another shape."""
        sent = None if body is None else msgspec.json.encode(body)
        status, answer = await self.fetch(path, sent)
        if status != 200:
            return None
        try:
            return msgspec.json.decode(answer, type=expect)
        except msgspec.DecodeError:
            return None

    def gone(self, error: BaseException | str) -> BackendGone:
        """BackendGone that says where and what."""
        if isinstance(error, TimeoutError):
            error = "no answer in time"
        return BackendGone(f"{self._label}: {error or type(error).__name__}")

    async def close(self) -> None:
        """Close every connection; whoever still reads from one gets BackendGone."""
        self._closed = True
        for connection in list(self._all):
            connection.abort()
        self._idle.clear()

    def _request(self, path: str, body: bytes | None) -> bytes:
        target = f"{self._prefix}{path}".encode()
        if body is None:
            return b"GET %b HTTP/1.1\r\n%b\r\n" % (target, self._lines)
        kind = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        return b"POST %b HTTP/1.1\r\n%b%b%b" % (target, self._lines, kind, body)

    async def _connect(self) -> Connection:
        if self._closed:
            raise ConnectionLost("its connections were closed", answered=False)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self._loop, self._released, self._all.discard),
                    self._host,
                    self._port,
                    ssl=self._tls,
                )
        except OSError as error:
            raise ConnectionError(f"Cannot connect: {error.strerror or error}") from error
        self._all.add(connection)
        if self._closed:
            connection.abort()
        return connection

    def _released(self, connection: Connection) -> None:
        if self._keep_alive and not self._closed:
            self._idle.append(connection)
        else:
            connection.abort()


class Forwarded:
    """A response passed through as it comes."""

    def __init__(self, client: HttpClient, exchange: Exchange) -> None:
        self._client = client
        self._exchange = exchange
        self.status = exchange.status
        self.content_type = exchange.headers.get("content-type", "application/json")

    async def read(self) -> bytes:
        """The whole body. Raises BackendGone when it breaks off."""
        try:
            return await self._exchange.read()
        except _BROKEN as error:
            raise self._client.gone(error) from error

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in the pieces it arrives in. Raises BackendGone when it breaks off."""
        try:
            while block := await self._exchange.next():
                yield block
        except _BROKEN as error:
            raise self._client.gone(error) from error

    async def events(self) -> AsyncIterator[bytes]:
        """The data of each server-sent event. Raises BackendGone when the stream breaks off."""
        rest = b""
        async for chunk in self.chunks():
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                if line.startswith(b"data:"):
                    yield line[5:]
                elif line.startswith(b"error:"):
                    yield line[6:]

    def close(self) -> None:
        """Drop it: a body that is not read to its end closes the connection."""
        self._exchange.close()
