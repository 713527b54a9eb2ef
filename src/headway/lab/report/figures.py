"""Numbers as text."""

from __future__ import annotations

MOST_DIGITS = 12
"""Behind the point."""


def figures(value: float) -> str:
    """About three figures: `0.012`, `1.23`, `12.3`, `123`."""
    digits = 3 if value < 0.1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def figures_beside(value: float, limit: float) -> str:
    """The same with as many more as show on which side of `limit` it is: `20.04` above 20."""
    text, digits = figures(value), 1
    while (float(text) <= limit) != (value <= limit) and digits <= MOST_DIGITS:
        text, digits = f"{value:.{digits}f}", digits + 1
    return text


def share_beside(value: float, least: float) -> str:
    """A share as per cent, with as many digits as show whether it is `least` or more."""
    digits = 0
    text = f"{value:.0%}"
    while (float(text[:-1]) / 100.0 >= least) != (value >= least) and digits < MOST_DIGITS:
        digits += 1
        text = f"{value:.{digits}%}"
    return text


def share(value: float | None) -> str:
    """A share as per cent; a dash for none."""
    return "-" if value is None else f"{value:.0%}"
