"""Paths below a prefix, for proxies that leave it in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

Make = Callable[..., web.BaseRequest]
"""Makes a request of a message and what belongs to it."""


def below(base_path: str, make: Make) -> Make:
    """`make` for requests that may have `base_path` before their path, which is taken off.

    It comes before routing, so that all handlers see the path without it.
    """
    prefix = f"{base_path}/"

    def request(message: Any, *rest: Any) -> web.BaseRequest:
        if message.path.startswith(prefix):
            url = message.url.with_path(
                message.url.raw_path[len(base_path) :],
                encoded=True,
                keep_query=True,
                keep_fragment=True,
            )
            message = message._replace(path=message.path[len(base_path) :], url=url)
        return make(message, *rest)

    return request
