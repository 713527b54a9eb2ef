"""Answers that are kept for clients who ask again with the same `Idempotency-Key`.

A client that dies, or loses its connection, between the end of an answer and its own note of it
asks again, and gets the answer that was paid.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from aiohttp import web

from headway.gateway.api.answer import answer
from headway.gateway.api.errors import ApiError
from headway.gateway.api.names import checked_name

if TYPE_CHECKING:  # it needs an extra
    from headway.sharing.answers import SharedAnswers

HEADER = "idempotency-key"
REPEATED = "idempotent-replayed"
"""The header of an answer that was given before."""
KEEP_S = 600.0
MOST_BYTES = 64 * 2**20
"""Of all answers that are kept; the oldest go first."""

Name = tuple[str, str]
"""Who asks, and with which key."""


@dataclass(slots=True)
class _Kept:
    """An answer, or one that is on its way."""

    asked: bytes
    """A hash of what was asked."""
    ended: asyncio.Event
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    until_s: float = 0.0


class Repeats:
    """Answers of the last ten minutes to requests that carry a key.

    Args:
        clock: seconds.
        shared: where other gateways keep theirs; None: there are no others.
    """

    def __init__(self, clock: Callable[[], float], shared: SharedAnswers | None = None) -> None:
        self._clock = clock
        self._shared = shared
        self._kept: OrderedDict[Name, _Kept] = OrderedDict()
        self._bytes = 0

    async def answer(
        self,
        caller: str,
        key: str,
        asked: bytes,
        generate: Callable[[], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """The answer to a request with this key: as it was given before, or by `generate`.

        A request whose first sender is still served waits for that answer. Streams and errors are
        not kept: they run again.

        Args:
            caller: who asks; others' keys are others'.
            key: as the client chose it.
            asked: path and body of the request.
            generate: answers it.

        Raises:
            ApiError: 400 if the key is too long, 422 if it came with another request before.
        """
        name = (caller, checked_name(key, HEADER))
        hashed = blake2b(asked, digest_size=16).digest()
        self._forget_old()
        while (known := self._kept.get(name)) is not None:
            if known.asked != hashed:
                raise _reused(key)
            if known.body is not None:
                return _again(known.body, known.headers)
            await known.ended.wait()
        own = self._kept[name] = _Kept(hashed, asyncio.Event())
        try:
            if self._shared is None:
                response = await generate()
            else:
                response = await self._of_all(self._shared, name, key, hashed, generate)
            if isinstance(response, web.Response) and isinstance(response.body, bytes):
                self._keep(own, response.body, response)
            return response
        finally:
            if own.body is None:
                del self._kept[name]
            own.ended.set()

    async def _of_all(
        self,
        shared: SharedAnswers,
        name: Name,
        key: str,
        hashed: bytes,
        generate: Callable[[], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """The answer of whichever gateway is the first to give it."""
        async with shared.claim(name, hashed) as claim:
            given = await claim.wait()
            if given is None:
                response = await generate()
                if not (isinstance(response, web.Response) and isinstance(response.body, bytes)):
                    return response
                given = await claim.keep(response.body, _headers(response), KEEP_S)
                if given is None:
                    return response
        if given.body is None or given.asked != hashed:
            raise _reused(key)
        return _again(given.body, given.headers)

    def _keep(self, kept: _Kept, body: bytes, response: web.Response) -> None:
        kept.body = body
        kept.headers = _headers(response)
        kept.until_s = self._clock() + KEEP_S
        self._bytes += len(body)

    def _forget_old(self) -> None:
        now_s = self._clock()
        for name, kept in list(self._kept.items()):
            if kept.body is None:
                continue
            if kept.until_s > now_s and self._bytes <= MOST_BYTES:
                break
            self._bytes -= len(kept.body)
            del self._kept[name]


def _headers(response: web.Response) -> tuple[tuple[str, str], ...]:
    return tuple(
        (str(header), value)
        for header, value in response.headers.items()
        if header.lower() != "content-length"
    )


def _again(body: bytes, headers: Sequence[tuple[str, str]]) -> web.Response:
    return answer(body, headers={**dict(headers), REPEATED: "true"})


def _reused(key: str) -> ApiError:
    return ApiError(
        422,
        f"{HEADER} {key[:60]!r} came with another request before; use a new key for each request.",
        code="idempotency_key_reused",
        param=HEADER,
    )
