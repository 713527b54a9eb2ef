"""Headers of a backend's answer that are passed on to the client."""

from __future__ import annotations

from collections.abc import Mapping

_NAMES = frozenset(("retry-after", "retry-after-ms", "x-should-retry"))
_PREFIXES = ("x-ratelimit-", "openai-")
_MOST_BYTES = 1024
"""Headers with longer values are dropped."""


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers to pass on: when to retry, rate limits, the backend's request id."""
    kept: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        if len(value) > _MOST_BYTES or "\n" in value or "\r" in value:
            continue
        if lower == "x-request-id":
            kept["x-headway-upstream-request-id"] = value
        elif lower == "retry-after":
            kept["Retry-After"] = value
        elif lower in _NAMES or lower.startswith(_PREFIXES):
            kept[lower] = value
    return kept
