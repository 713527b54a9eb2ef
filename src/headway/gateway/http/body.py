"""Request bodies: read within limits, decompressed, and decoded as JSON of a known type."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import numpy as np
from aiohttp import web

from headway.gateway.api.errors import ApiError
from headway.gateway.http.server import TAIL_BYTES

T = TypeVar("T")

MISSING = "Object missing required field"
"""How msgspec begins to say so."""
OWNERS = {
    "messages": "/v1/chat/completions and /v1/messages",
    "prompt": "/v1/completions",
    "input": "/v1/responses and /v1/embeddings",
}
"""The main field of a request, and the endpoints that take it."""
NO_JSON = {
    b"--": "it begins as a form does (multipart/form-data); send JSON",
    b"\xef\xbb\xbf": "it begins with a byte order mark; send UTF-8 without it",
}
"""What other things than JSON begin with."""
LARGE_BYTES = 1024 * 1024
"""Larger bodies are decoded in a thread, and only if they do not hold too many values."""
MOST_CONTAINERS = 100_000
MOST_VALUES = 1_000_000
"""Maximum numbers of objects and arrays, and of commas, in a large body. Each becomes a Python
object."""
CODINGS = ("gzip", "deflate")

_HELD_BYTES = web.RequestKey("held_bytes", int)
_END = web.RequestKey("end", bytes)
_STRUCTURE = bytes(set(range(256)) - set(b'"{[,'))
_QUOTE, _BRACE, _BRACKET, _COMMA = b'"{[,'


class Bodies:
    """Reads bodies, and limits the memory that all of them take.

    Args:
        most_bytes: maximum size of a body, compressed or not.
        most_bytes_in_all: maximum size of the bodies of all requests in progress.
        timeout_s: how long a client may take to send its body.
    """

    def __init__(self, most_bytes: int, most_bytes_in_all: int, timeout_s: float) -> None:
        self._most_bytes = most_bytes
        self._most_bytes_in_all = most_bytes_in_all
        self._timeout_s = timeout_s
        self.held_bytes = 0
        """Size of the bodies of all requests in progress."""

    def refuse_too_large(self, request: web.Request) -> None:
        """Raise ApiError 413 if `Content-Length` exceeds the limit."""
        if (request.content_length or 0) > self._most_bytes:
            raise self._too_large()

    async def read(self, request: web.Request) -> bytes:
        """Return the decompressed body, whose size counts until `release`.

        Raises:
            ApiError: 400, 408, 413, 415, or 503 if all bodies together take too much memory.
        """
        self.refuse_too_large(request)
        content = request.content
        if content.is_eof():  # it arrived with its header, as most do
            body = content.read_nowait()
            self._hold(request, len(body))
        else:
            body = await self._received(request)
        request[_END] = body[-TAIL_BYTES:]
        coding = request.headers.get("Content-Encoding", "identity").lower()
        if coding == "identity":
            return body
        if coding not in CODINGS:
            raise ApiError(
                415,
                f"The content encoding {coding[:40]!r} is not supported; send plain or gzip.",
                code="unknown_encoding",
            )
        unpacked = await asyncio.to_thread(self._unpacked, body, coding)
        self._hold(request, len(unpacked))
        return unpacked

    def release(self, request: web.Request) -> bytes:
        """The request has ended. Returns the last bytes of its body as received."""
        self.held_bytes -= request.get(_HELD_BYTES, 0)
        end: bytes = request.get(_END, b"")
        return end

    def _hold(self, request: web.Request, size: int) -> None:
        if self.held_bytes + size > self._most_bytes_in_all:
            raise ApiError(
                503,
                "The bodies of the requests in progress take all the memory allowed for them; "
                "try again in a moment.",
                type="server_error",
                code="bodies_too_large",
                headers={"Retry-After": "1"},
            )
        self.held_bytes += size
        request[_HELD_BYTES] = request.get(_HELD_BYTES, 0) + size

    async def _received(self, request: web.Request) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                async for part in request.content.iter_any():
                    size += len(part)
                    if size > self._most_bytes:
                        raise self._too_large()
                    self._hold(request, len(part))
                    parts.append(part)
        except TimeoutError:
            raise ApiError(
                408, "The request did not arrive in time.", code="request_timeout"
            ) from None
        except web.RequestPayloadError as error:
            raise ApiError(
                400, f"The body is not valid HTTP: {error}.", code="invalid_http"
            ) from None
        return b"".join(parts)

    def _unpacked(self, body: bytes, coding: str) -> bytes:
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            unpacked = inflate.decompress(body, self._most_bytes + 1)
        except zlib.error as error:
            raise ApiError(
                400, f"The request body is not valid {coding}: {error}.", code="invalid_body"
            ) from None
        if len(unpacked) > self._most_bytes:
            raise self._too_large()
        return unpacked

    def _too_large(self) -> ApiError:
        return ApiError(
            413,
            f"The request body is larger than {self._most_bytes} bytes; shorten it.",
            code="body_too_large",
        )


async def off_loop(decode: Callable[[bytes], T], body: bytes) -> T:
    """Return `decode(body)`; run it in a thread if the body is large.

    Raises:
        ApiError: 400 if a large body holds too many values; also what `decode` raises.
    """
    if len(body) <= LARGE_BYTES:
        return decode(body)

    def checked() -> T:
        _refuse_too_many_values(body)
        return decode(body)

    return await asyncio.to_thread(checked)


def parsed(body: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    """The known fields of the body, validated.

    Raises:
        ApiError: 400; it says where the JSON is malformed, or which field is wrong and how.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        param = at.rstrip("`").lstrip(".") or None
        if param is None and "field `" in reason:
            param = reason.split("field `")[1].rstrip("`")
        where = f"{param}: " if at else ""
        if param in OWNERS and reason.startswith(MISSING) and not at:
            reason += _meant_for(body)
        raise ApiError(400, f"{where}{reason}.", code="invalid_value", param=param) from None
    except UnicodeDecodeError as error:
        raise ApiError(
            400, f"The body is not UTF-8 ({error.reason}); send JSON in UTF-8.", code="invalid_utf8"
        ) from None
    except msgspec.DecodeError as error:
        where = f" after byte {len(body)}" if "truncated" in str(error) else ""
        why = next((why for first, why in NO_JSON.items() if body.startswith(first)), "")
        why = why or f"{error}{where}"
        raise ApiError(400, f"The body is not valid JSON: {why}.", code="invalid_json") from None
    except RecursionError:
        raise ApiError(400, "The JSON is nested too deeply.", code="invalid_json") from None


def _meant_for(body: bytes) -> str:
    """A hint, if a body that lacks its main field has that of another endpoint; else nothing."""
    fields = msgspec.json.decode(body)
    for name, paths in OWNERS.items():
        if name in fields:
            return f"; `{name}` is a field of {paths}"
    return ""


def _refuse_too_many_values(body: bytes) -> None:
    """Raise ApiError 400 if the JSON has too many values to be decoded."""
    # Braces and commas inside strings do not count, and escaped quotes do not end strings.
    bare = body.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _STRUCTURE)
    marks = np.frombuffer(bare, np.uint8)
    outside = marks[~np.logical_xor.accumulate(marks == _QUOTE)]
    commas = np.count_nonzero(outside == _COMMA)
    containers = np.count_nonzero((outside == _BRACE) | (outside == _BRACKET))
    if containers > MOST_CONTAINERS or commas > MOST_VALUES:
        raise ApiError(
            400,
            f"The JSON holds more than {MOST_CONTAINERS} objects and arrays or {MOST_VALUES} "
            "values; send it in several requests.",
            code="invalid_value",
        )
