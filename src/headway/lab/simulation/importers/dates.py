"""Dates in traces."""

from __future__ import annotations

from datetime import UTC, datetime


def unix_s(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date, which is in UTC where it names no offset.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
