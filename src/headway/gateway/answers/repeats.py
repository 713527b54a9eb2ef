"""Answers that are kept for clients who ask again with the same `Idempotency-Key`.

A client that dies, or loses its connection, between the end of an answer and its own note of it
asks again, and gets the answer that was paid.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b

from aiohttp import web

from headway.gateway.api.answer import answer
from headway.gateway.api.errors import ApiError
from headway.gateway.api.names import checked_name

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
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
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
                raise ApiError(
                    422,
                    f"{HEADER} {key[:60]!r} came with another request before; use a new key for "
                    "each request.",
                    code="idempotency_key_reused",
                    param=HEADER,
                )
            if known.body is not None:
                return answer(known.body, headers={**dict(known.headers), REPEATED: "true"})
            await known.ended.wait()
        own = self._kept[name] = _Kept(hashed, asyncio.Event())
        try:
            response = await generate()
            if isinstance(response, web.Response) and isinstance(response.body, bytes):
                self._keep(own, response.body, response)
            return response
        finally:
            if own.body is None:
                del self._kept[name]
            own.ended.set()

    def _keep(self, kept: _Kept, body: bytes, response: web.Response) -> None:
        kept.body = body
        kept.headers = tuple(
            (header, value)
            for header, value in response.headers.items()
            if header.lower() != "content-length"
        )
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
