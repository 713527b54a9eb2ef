"""Numbers as text."""


def figures(value: float) -> str:
    """About three figures: `0.012`, `1.23`, `12.3`, `123`."""
    digits = 3 if value < 0.1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def share(value: float | None) -> str:
    """A share as per cent; a dash for none."""
    return "-" if value is None else f"{value:.0%}"
