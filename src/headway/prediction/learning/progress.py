"""How far training is."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, float], None]
"""Called with what is being done, and the share of all work that is done, from 0 to 1."""


def silent(what: str, share: float) -> None:
    """Report nothing."""


def part_of(report: Report, begin: float, end: float) -> Report:
    """The report of a part of the work, from one share of all of it to another."""
    return lambda what, share: report(what, begin + share * (end - begin))
