"""Tracing headers: passed to the backend, and returned to the client."""

from __future__ import annotations

import re
from collections.abc import Mapping

from headway.gateway.api.names import checked_name
from headway.traces.span import TRACEPARENT

# W3C Trace Context. Malformed headers are dropped: the next system would start a new trace.
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")
NOTHING: Mapping[str, str] = {}
"""Shared by the requests without such headers; nobody changes it."""
_REQUEST_ID = re.compile(r"[\x21-\x7e]+")


def trace_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """`traceparent`, `tracestate` and `x-request-id` of a request; invalid ones are dropped.

    Args:
        headers: looked up by lower-case names.

    Raises:
        ApiError: 400: the request id is longer than 256 bytes.
    """
    found: dict[str, str] = {}
    parent = headers.get("traceparent", "")
    if TRACEPARENT.fullmatch(parent):
        found["traceparent"] = parent
        state = headers.get("tracestate", "")
        if _TRACESTATE.fullmatch(state):
            found["tracestate"] = state
    request_id = headers.get("x-request-id")
    if request_id is not None and _REQUEST_ID.fullmatch(checked_name(request_id, "x-request-id")):
        found["x-request-id"] = request_id
    return found or NOTHING
