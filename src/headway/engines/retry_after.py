"""Reads how long a server asks to wait."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isfinite


def retry_after_s(headers: Mapping[str, str], unix_s: float) -> float | None:
    """Seconds from now (`unix_s`) in `retry-after-ms` or Retry-After; None: neither can be read."""
    for name, unit_s in (("retry-after-ms", 0.001), ("Retry-After", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            seconds = float(text) * unit_s
        except ValueError:
            try:
                seconds = parsedate_to_datetime(text).timestamp() - unix_s
            except (ValueError, OverflowError):
                continue
        if isfinite(seconds):
            return max(0.0, seconds)
    return None
