"""Limits the length of names that clients choose, as tables and logs keep them."""

from __future__ import annotations

from headway.gateway.api.errors import ApiError

MOST_BYTES = 256


def checked_name(name: str, param: str) -> str:
    """`name`, if it is valid.

    Args:
        name: as the client sent it.
        param: the field or header that contains it.

    Raises:
        ApiError: 400: it is longer than 256 bytes in UTF-8, or not valid UTF-8.
    """
    if len(name) <= MOST_BYTES:
        if name.isascii():
            return name
        try:
            if len(name.encode()) <= MOST_BYTES:
                return name
        except UnicodeEncodeError:
            raise ApiError(
                400, f"{param} is not valid UTF-8.", code="invalid_utf8", param=param
            ) from None
    raise ApiError(
        400,
        f"{param} is too long; it may have at most {MOST_BYTES} bytes.",
        code="name_too_long",
        param=param,
    )
