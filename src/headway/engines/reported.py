"""Numbers that backends report about themselves and about their answers."""

from __future__ import annotations

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=10**9)]
"""A count that can be true."""

_COUNT = msgspec.json.Decoder(Count)


def reported_count(raw: msgspec.Raw | None) -> int | None:
    """The count in `raw`; None if there is none, or one that cannot be true.

    Backends report floats, negative numbers and numbers of four hundred digits.
    """
    if raw is None:
        return None
    try:
        return _COUNT.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
