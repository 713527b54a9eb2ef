"""Numbers as files write them."""

from __future__ import annotations


def whole(text: str) -> int:
    """A whole number from `100`, `100.0` or `1e2`.

    Raises:
        ValueError: it is none.
    """
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            raise ValueError(f"{text!r} is not a whole number") from None
        return int(number)
