"""Non-streamed answers, as responses of aiohttp."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web

SERVER = "headway"
JSON = "application/json"
PRIVATE = {"Cache-Control": "no-store"}
"""Headers of what one caller sees and another may not."""


def answer(
    body: bytes,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = JSON,
) -> web.Response:
    """An answer with `body`."""
    return web.Response(
        body=body,
        status=status,
        headers={"Server": SERVER, "Content-Type": content_type, **(headers or {})},
    )


def json_answer(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An answer with `value` as JSON."""
    return answer(msgspec.json.encode(value), status=status, headers=headers)
