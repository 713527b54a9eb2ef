"""Authenticates a request by its headers, and only then reads its body."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from aiohttp import HttpVersion11, web

from headway.gateway.api.errors import ApiError
from headway.gateway.http.body import Bodies
from headway.gateway.http.browsers import host_name
from headway.gateway.keys.keys import Caller, KeyRing, must_be_admin, must_only_read
from headway.gateway.keys.sessions import Sessions
from headway.loopback import is_loopback
from headway.prompts.prompt import PromptId

PROXIED = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-host"})
"""Headers that proxies add."""


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
    key_name: str = ""
    """Of the key that began that batch; empty: none."""


ADMITTED = web.RequestKey("admitted", Admitted)
"""Of a request, once its body was read and is kept with it."""


class Entrance:
    """Authenticates requests before it reads their bodies.

    Args:
        keys: the known API keys.
        sessions: of browsers that have signed in with one.
        bodies: reads the bodies.
        local: whether the gateway listens on loopback only.
    """

    def __init__(self, keys: KeyRing, sessions: Sessions, bodies: Bodies, local: bool) -> None:
        self._keys = keys
        self._sessions = sessions
        self._bodies = bodies
        self._local = local

    def caller(self, request: web.Request) -> Caller | None:
        """The key of the request, or of the session that its cookie stands for.

        Raises:
            ApiError: 401 without a valid key; 403 if the key may only look, or if the token that
                has to come with the cookie does not.
        """
        caller = self._known(request)
        must_only_read(caller, request.method)
        return caller

    def _known(self, request: web.Request) -> Caller | None:
        """The key of the request, whatever it may do. Raises ApiError."""
        headers, caller = request.headers, None
        if "cookie" in headers and not ("authorization" in headers or "x-api-key" in headers):
            caller = self._sessions.caller(request.method, headers)
        return self._keys.caller(headers) if caller is None else caller

    def operator(self, request: web.Request) -> Caller | None:
        """The admin's key of a request that operates the gateway.

        Without keys only this machine may do that, whoever else may use the gateway.

        Raises:
            ApiError: as `caller`, and 403 if it may not.
        """
        caller = self.caller(request)
        if caller is None and not self.from_here(request):
            raise _only_here("operate the gateway")
        must_be_admin(caller)
        return caller

    def viewer(self, request: web.Request) -> Caller | None:
        """The key of a request that looks at what goes on; None: this machine, without keys.

        Raises:
            ApiError: as `caller`, and 403 from another machine if there are no keys.
        """
        caller = self.caller(request)
        if caller is None and not self.from_here(request):
            raise _only_here("look at the console")
        return caller

    def overseer(self, request: web.Request) -> Caller | None:
        """The admin's key of a request that asks about everybody's traffic and changes nothing.

        Keys with `read_only` may do that by any method. Without keys only this machine may.

        Raises:
            ApiError: 401 without a valid key; 403 if it may not, or the session's token is missing.
        """
        caller = self._known(request)
        if caller is None and not self.from_here(request):
            raise _only_here("ask about all traffic")
        must_be_admin(caller)
        return caller

    def from_here(self, request: web.Request) -> bool:
        """Whether a request comes from this machine, and through no proxy."""
        host = request.headers.get("host", "")
        return (
            self._local
            and is_loopback(host_name(host))
            and not PROXIED.intersection(map(str.lower, request.headers))
        )

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


def _only_here(what: str) -> ApiError:
    return ApiError(
        403,
        f"Without API keys only this machine may {what}; add a key with `admin: true`.",
        type="permission_error",
        code="admin_only",
    )
