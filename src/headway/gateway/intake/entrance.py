"""The way in: who asks, by the headers alone, and only then what they send."""

from __future__ import annotations

from typing import NamedTuple

from aiohttp import HttpVersion11, web

from headway.gateway.api.errors import ApiError
from headway.gateway.http.body import Bodies
from headway.gateway.keys.keys import Caller, KeyRing


class Admitted(NamedTuple):
    """A request that was let in."""

    caller: Caller | None
    """None where the gateway is open to everybody."""
    body: bytes
    """Without its content encoding."""


class Entrance:
    """Authenticates requests before it reads their bodies.

    Args:
        keys: who may ask.
        bodies: reads what they send.
    """

    def __init__(self, keys: KeyRing, bodies: Bodies) -> None:
        self._keys = keys
        self._bodies = bodies

    def caller(self, request: web.Request) -> Caller | None:
        """Who asks. Raises ApiError 401."""
        return self._keys.caller(request.headers)

    async def admit(self, request: web.Request) -> Admitted:
        """Who asks, and what they send. Raises ApiError."""
        return Admitted(self.caller(request), await self._bodies.read(request))

    async def expected(self, request: web.Request) -> web.StreamResponse | None:
        """Answer `Expect: 100-continue`: the body is asked for only where it may be read."""
        try:
            self.caller(request)
            self._bodies.refuse_too_large(request)
            if request.headers["Expect"].lower() != "100-continue":
                raise ApiError(
                    417, "Only 'Expect: 100-continue' is understood.", code="expectation_failed"
                )
        except ApiError as error:
            response = error.response()
            response.force_close()
            return response
        if request.version >= HttpVersion11:
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # the answer has not begun
        return None

    def left(self, request: web.Request) -> bytes:
        """The request is over: what it sent is held no more. Returns the last bytes of its body."""
        return self._bodies.release(request)
