"""Authenticates a request by its headers, and only then reads its body."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from aiohttp import HttpVersion11, web

from headway.gateway.api.errors import ApiError
from headway.gateway.http.body import Bodies
from headway.gateway.keys.keys import Caller, KeyRing
from headway.prompts.prompt import PromptId


class Admitted(NamedTuple):
    """An authenticated request."""

    caller: Caller | None
    """None: the gateway is open to everybody."""
    body: bytes
    """The decompressed body."""
    prompt: PromptId | None = None
    """The registered prompt that is filled into the body."""
    batch: str = ""
    """The batch that it is a line of; empty: none."""


ADMITTED = web.RequestKey("admitted", Admitted)
"""Of a request, once its body was read and is kept with it."""


class Entrance:
    """Authenticates requests before it reads their bodies.

    Args:
        keys: the known API keys.
        bodies: reads the bodies.
    """

    def __init__(self, keys: KeyRing, bodies: Bodies) -> None:
        self._keys = keys
        self._bodies = bodies

    def caller(self, request: web.Request) -> Caller | None:
        """The key of the request. Raises ApiError 401."""
        return self._keys.caller(request.headers)

    def tenant(self, request: web.Request) -> str | None:
        """The tenant of the request's key; empty if there are no keys, None without a valid one."""
        try:
            caller = self.caller(request)
        except ApiError:
            return None
        return "" if caller is None else caller.tenant

    async def admit(self, request: web.Request) -> Admitted:
        """Authenticate the request and read its body, once. Raises ApiError."""
        known: Admitted | None = request.get(ADMITTED)
        if known is not None:
            return known
        return Admitted(self.caller(request), await self._bodies.read(request))

    async def expected(
        self, request: web.Request, refuse: Callable[[web.Request], None] | None = None
    ) -> None:
        """Ask for the body of a request with `Expect: 100-continue`, if it may be read.

        Args:
            request: whose header has arrived.
            refuse: raises ApiError if the body is too large; None: the limit of bodies, which
                does not hold for those that go to disk.

        Raises:
            ApiError: 401, 413, or 417 for another expectation.
        """
        self.caller(request)
        (refuse or self._bodies.refuse_too_large)(request)
        if request.headers["Expect"].lower() != "100-continue":
            raise ApiError(
                417, "Only 'Expect: 100-continue' is supported.", code="expectation_failed"
            )
        if request.version >= HttpVersion11:
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # the answer has not begun

    def release(self, request: web.Request) -> bytes:
        """The request has ended: its body no longer counts. Returns the last bytes of it."""
        return self._bodies.release(request)
