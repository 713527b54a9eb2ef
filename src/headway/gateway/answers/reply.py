"""Sends one answer to its client: whole, or as a stream of server-sent events."""

from __future__ import annotations

import time
from collections.abc import Mapping

from aiohttp import web

from headway.gateway.api.answer import SERVER, answer
from headway.gateway.api.errors import ApiError
from headway.gateway.dialects.dialect import Dialect

HEADERS = {
    "Server": SERVER,
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
}
"""Headers of every stream."""


class Reply:
    """The answer to one chat or text completion.

    Args:
        request: the request that it answers; None: nobody is connected, so nothing is streamed.
        dialect: translates the answer to the client's API; None: it needs no translation.
    """

    __slots__ = ("_dialect", "_ended", "_request", "_sent_s", "stream")

    def __init__(self, request: web.Request | None, dialect: Dialect | None = None) -> None:
        self._request = request
        self._dialect = dialect
        self._sent_s = time.monotonic()
        self._ended = False
        """Its last bytes are being written: nothing may come between."""
        self.stream: web.StreamResponse | None = None
        """The response, once a stream has begun."""

    def whole(self, body: bytes, headers: Mapping[str, str]) -> web.Response:
        """The answer as one JSON object.

        Raises:
            ApiError: 502 if it cannot be translated.
        """
        if self._dialect is not None:
            body = self._dialect.answer(body)
        return answer(body, headers=self._named(headers))

    async def begin(self, headers: Mapping[str, str]) -> None:
        """Begin a stream, if it has not begun.

        Raises:
            ConnectionResetError: the client is gone; every method that sends raises it.
        """
        if self.stream is None:
            assert self._request is not None
            self.stream = web.StreamResponse(headers={**HEADERS, **self._named(headers)})
            await self.stream.prepare(self._request)

    async def send(self, events: bytes) -> None:
        """Send whole events.

        Raises:
            ApiError: 502 if they cannot be translated.
        """
        assert self.stream is not None
        if self._dialect is not None:
            events = self._dialect.events.feed(events)
            if not events:
                return
        self._sent_s = time.monotonic()
        await self.stream.write(events)

    async def end(self, events: bytes = b"") -> web.StreamResponse:
        """Send the last events and end the stream."""
        assert self.stream is not None
        self._ended = True
        if self._dialect is not None:
            events = self._dialect.events.feed(events) + self._dialect.events.end()
        await self.stream.write_eof(events)
        return self.stream

    async def fail(self, error: ApiError) -> web.StreamResponse:
        """Send an error event and end the stream."""
        assert self.stream is not None
        self._ended = True
        failure = error.event() if self._dialect is None else self._dialect.events.failure(error)
        await self.stream.write_eof(failure)
        return self.stream

    def silent_s(self) -> float:
        """Seconds since data was last sent to the client."""
        return time.monotonic() - self._sent_s

    async def comment(self, text: str, headers: Mapping[str, str]) -> None:
        """Send a comment, which clients ignore, to keep the stream alive.

        Sends nothing to a client that does not read.
        """
        assert self._request is not None
        protocol = self._request.protocol
        if self._ended or protocol.transport is None or protocol.writing_paused:
            return
        await self.begin(headers)
        await self.send(f": {text}\n\n".encode())

    def _named(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """`headers` with the request id in the header in which the client expects it."""
        if self._dialect is None or "x-request-id" not in headers:
            return headers
        return {**headers, self._dialect.id_header: headers["x-request-id"]}
