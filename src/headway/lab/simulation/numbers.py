"""Numbers as files write them."""

from __future__ import annotations

from math import isfinite


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


def finite(text: str) -> float:
    """A number that is neither infinite nor NaN.

    Raises:
        ValueError: it is none.
    """
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text!r} is not finite")
    return number
