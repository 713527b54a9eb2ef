"""HTTP toward one backend, with everything that breaks turned into BackendGone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakSet

import aiohttp
import msgspec
from yarl import URL

from headway.engines.endpoint import Endpoint
from headway.engines.engine import BackendGone

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
PROBE_TIMEOUT_S = 10.0
_GOODBYE_S = 0.05
"""Time for the event loop to tell readers that their connection ended."""
_BROKEN = (aiohttp.ClientError, TimeoutError, OSError)
_STREAMED = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)


class HttpClient:
    """A connection pool to one base URL. Made inside a running event loop."""

    def __init__(self, endpoint: Endpoint, *, keep_alive: bool = True) -> None:
        self._base = endpoint.base_url
        self._label = f"{endpoint.name} ({endpoint.base_url})"
        self._urls: dict[str, URL] = {}
        self._sockets: WeakSet[socket.socket] = WeakSet()
        headers = {"Content-Type": "application/json", "Accept": "*/*"}
        if endpoint.api_key:
            headers["Authorization"] = f"Bearer {endpoint.api_key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, force_close=not keep_alive, socket_factory=self._socket
            ),
            headers=headers,
            skip_auto_headers=("Accept-Encoding", "User-Agent"),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_STREAMED,
            auto_decompress=False,
        )

    async def open(self, path: str, body: bytes | None = None) -> aiohttp.ClientResponse:
        """POST `body`, or GET without one; the response, its body not read yet.

        A connection that breaks before the first byte of the response is tried once more: a
        kept-alive one may just have been closed by the server. Raises BackendGone.
        """
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = URL(self._base + path)
        method = "GET" if body is None else "POST"
        try:
            try:
                return await self._session.request(method, url, data=body, allow_redirects=False)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError):
                return await self._session.request(method, url, data=body, allow_redirects=False)
        except _BROKEN as error:
            raise self.gone(error) from error
        except RuntimeError as error:  # the session was closed under us: the backend was given up
            raise self.gone(error) from error

    async def fetch(
        self, path: str, body: bytes | None = None, *, timeout_s: float = PROBE_TIMEOUT_S
    ) -> tuple[int, bytes]:
        """Status and whole body of a short exchange. Raises BackendGone."""
        url = self._base + path
        method = "GET" if body is None else "POST"
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        try:
            async with self._session.request(method, url, data=body, timeout=timeout) as response:
                return response.status, await response.read()
        except (*_BROKEN, RuntimeError) as error:
            raise self.gone(error) from error

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
        elif isinstance(error, aiohttp.ServerDisconnectedError):
            error = "it closed the connection"
        return BackendGone(f"{self._label}: {error or type(error).__name__}")

    async def close(self) -> None:
        """Close every connection; whoever still reads from one gets BackendGone."""
        # The session alone would leave its readers waiting for ever.
        for made in self._sockets:
            with suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
        if self._sockets:
            await asyncio.sleep(_GOODBYE_S)
        await self._session.close()

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """A socket that notices within a minute when the other machine has vanished."""
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        self._sockets.add(made)
        return made


class Forwarded:
    """A response passed through as it comes."""

    def __init__(self, client: HttpClient, response: aiohttp.ClientResponse) -> None:
        self._client = client
        self._response = response
        self.status = response.status
        self.content_type = response.headers.get("Content-Type", "application/json")

    async def read(self) -> bytes:
        """The whole body. Raises BackendGone when it breaks off."""
        try:
            return await self._response.read()
        except _BROKEN as error:
            raise self._client.gone(error) from error

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in the pieces it arrives in. Raises BackendGone when it breaks off."""
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
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
        self._response.close()
