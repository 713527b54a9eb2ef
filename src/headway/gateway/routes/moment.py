"""Moments in query strings."""

from __future__ import annotations

import time

from aiohttp import web

from headway.gateway.api.errors import invalid_value
from headway.store.moment import moment


def moment_of(request: web.Request, name: str) -> float | None:
    """Return a moment of the query, in seconds since 1970; None: it is not there.

    Raises:
        ApiError: 400: it is none.
    """
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return moment(text, time.time())
    except ValueError as error:
        raise invalid_value(f"{name}: {error}.", name) from None
