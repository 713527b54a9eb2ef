"""Moments, as people and programs write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_AGES_S = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment(text: str, now_s: float) -> float:
    """Return a moment in seconds since 1970.

    It is written as a date or a time by ISO 8601 (without an offset it is UTC), as an age such as
    7d or 12h, or as seconds since 1970 (nine digits at least).

    Raises:
        ValueError: it says how moments are written.
    """
    ago = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if ago is not None:
        return now_s - int(ago[1]) * _AGES_S[ago[2]]
    try:
        if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
            return float(text)
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text[:40]!r} is no moment; write a date as 2026-11-01, a time as "
            "2026-11-01T12:00Z, or an age as 7d or 12h"
        ) from None
