"""Bodies of requests: unpacked, and read as JSON of a known type."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from headway.gateway.errors import ApiError
from headway.gateway.http_message import HttpRequest


def unpacked(http: HttpRequest, most: int) -> bytes:
    """The body without its content encoding.

    Raises:
        ApiError: 400, 413 or 415; it may have `most` bytes.
    """
    coding = http.headers.get("content-encoding", "identity").lower()
    if coding == "identity":
        return http.body
    if coding not in ("gzip", "deflate"):
        raise ApiError(
            415,
            f"The content encoding {coding[:40]!r} is not known here; send it plain or gzip.",
            code="unknown_encoding",
        )
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        body = inflate.decompress(http.body, most + 1)
    except zlib.error as error:
        raise ApiError(
            400, f"The request body is no {coding}: {error}.", code="invalid_body"
        ) from None
    if len(body) > most:
        raise ApiError(413, f"The request body is larger than {most} bytes.", code="body_too_large")
    return body


def parsed(body: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    """The body's known fields, checked.

    Raises:
        ApiError: 400, saying where the JSON breaks, or which field is wrong and how.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        param = at.rstrip("`").lstrip(".") or None
        if param is None and "field `" in reason:
            param = reason.split("field `")[1].rstrip("`")
        where = f"{param}: " if at else ""
        raise ApiError(400, f"{where}{reason}.", code="invalid_value", param=param) from None
    except UnicodeDecodeError as error:
        raise ApiError(
            400, f"The body is not UTF-8 ({error.reason}); send JSON in UTF-8.", code="invalid_utf8"
        ) from None
    except msgspec.DecodeError as error:
        where = f" after byte {len(body)}" if "truncated" in str(error) else ""
        raise ApiError(
            400, f"The body is not valid JSON: {error}{where}.", code="invalid_json"
        ) from None
    except RecursionError:
        raise ApiError(400, "The JSON is nested too deeply.", code="invalid_json") from None
