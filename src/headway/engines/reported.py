"""Numbers that backends report about themselves and about their answers."""

from __future__ import annotations

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=10**9)]
"""A count in a plausible range."""

_COUNT = msgspec.json.Decoder(Count)


def reported_count(raw: msgspec.Raw | None) -> int | None:
    """The count in `raw`; None if it is missing, not an integer or out of range.

    Some backends report floats, negative numbers or numbers of four hundred digits.
    """
    if raw is None:
        return None
    try:
        return _COUNT.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
