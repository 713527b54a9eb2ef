"""What the HTTP server hands to its handler, and what it takes back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qsl, unquote

JSON = "application/json"
KEEP = "\r\n"
CLOSE = "Connection: close\r\n\r\n"
"""How a head ends."""

_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Wire(Protocol):
    """The connection, as a streamed response needs it."""

    def send(self, data: bytes) -> None:
        """Put `data` on its way. Raises ConnectionResetError once the client is gone."""
        ...

    @property
    def clogged(self) -> bool:
        """Whether the client takes data more slowly than it comes."""
        ...

    async def flush(self) -> None:
        """Wait until it is not clogged any more."""
        ...


class HttpRequest:
    """One whole request."""

    __slots__ = (
        "_target",
        "_wire",
        "body",
        "headers",
        "keep_alive",
        "method",
        "path",
        "streaming",
        "version",
    )

    def __init__(
        self,
        wire: Wire,
        method: str,
        target: bytes,
        headers: Mapping[str, str],
        body: bytes,
        version: str,
        keep_alive: bool,
    ) -> None:
        self._wire = wire
        self._target = target
        self.method = method
        self.headers = headers
        """By lower-case name."""
        self.body = body
        self.version = version
        self.keep_alive = keep_alive
        self.streaming = False
        """Whether its response has begun, as a stream."""
        path = target.partition(b"?")[0].decode("latin-1")
        self.path = unquote(path) if "%" in path else path

    @property
    def query(self) -> dict[str, str]:
        """The parameters behind the path; the last one of each name."""
        return dict(parse_qsl(self._target.partition(b"?")[2].decode("latin-1")))

    def forget(self) -> None:
        """Drop headers and body: whoever needs more of them has it."""
        self.headers = {}
        self.body = b""

    def stream(self, headers: Mapping[str, str]) -> EventStream:
        """Begin a response of server-sent events."""
        self.streaming = True
        return EventStream(self._wire, self, headers)


class Response:
    """A complete answer."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        body: bytes,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        content_type: str = JSON,
    ) -> None:
        self.body = body
        self.status = status
        self.headers = headers or {}
        self.content_type = content_type

    def encode(self, *, keep_alive: bool, with_body: bool = True) -> bytes:
        """All of it as it goes over the wire."""
        length = f"{self.content_type}\r\nContent-Length: {len(self.body)}"
        head = _head(self.status, length, self.headers, keep_alive)
        return head + self.body if with_body else head


class EventStream:
    """A response of server-sent events, of unknown length."""

    __slots__ = ("_chunked", "_wire")

    def __init__(self, wire: Wire, request: HttpRequest, headers: Mapping[str, str]) -> None:
        self._wire = wire
        # HTTP/1.0 knows no chunks: there the end of the connection is the end of the stream.
        self._chunked = request.version != "1.0"
        kind = "text/event-stream\r\nCache-Control: no-cache"
        if self._chunked:
            kind += "\r\nTransfer-Encoding: chunked"
        else:
            request.keep_alive = False
        wire.send(_head(200, kind, headers, request.keep_alive))

    async def write(self, events: bytes) -> None:
        """Send whole events. Raises ConnectionResetError once the client is gone."""
        self._wire.send(b"%x\r\n%b\r\n" % (len(events), events) if self._chunked else events)
        if self._wire.clogged:
            await self._wire.flush()

    def end(self, events: bytes = b"") -> None:
        """Send the last events and end the response."""
        if not self._chunked:
            self._wire.send(events)
        elif events:
            self._wire.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events))
        else:
            self._wire.send(b"0\r\n\r\n")


class _Clock:
    """The `Date` header, made once a second."""

    __slots__ = ("_at_s", "_text")

    def __init__(self) -> None:
        self._at_s = 0
        self._text = ""

    def date(self) -> str:
        now_s = int(time.time())
        if now_s != self._at_s:
            self._at_s = now_s
            self._text = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now_s))
        return self._text


_clock = _Clock()


def _head(status: int, content_type: str, headers: Mapping[str, str], keep_alive: bool) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers):
        raise ValueError(f"a response header holds a line break: {headers!r}")
    return (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nServer: headway\r\n"
        f"Date: {_clock.date()}\r\nContent-Type: {content_type}\r\n{lines}"
        f"{KEEP if keep_alive else CLOSE}"
    ).encode("latin-1", "replace")
