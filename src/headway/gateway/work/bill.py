"""What one request has cost so far, run by run."""

from __future__ import annotations

from dataclasses import dataclass

from headway.prices.hours import Mark, SharedHours
from headway.prices.tokens import TokenPrice


@dataclass(slots=True)
class BilledRun:
    """One run of a request on a backend: until it stops, and until it is charged."""

    tokens: TokenPrice | None = None
    """The price of its tokens; None: it has none."""
    hours: SharedHours | None = None
    """The meter of its backend's hours; None: it is not paid by the hour."""
    mark: Mark | None = None
    """Where the meter stood when it began; None: it has stopped."""
    share: float | None = None
    """Its share of the hours, once it has stopped; None: unknown."""
    output_before: int = 0
    """Output tokens of the runs before, which are a part of this one's prompt."""
    cached: int | None = None
    """Prompt tokens that came from a cache; None: the backend does not say."""


@dataclass(slots=True)
class Bill:
    """The runs of one request; only the last one may not be charged yet."""

    cost: float = 0.0
    """Of the runs that are charged."""
    unpriced: bool = False
    """Whether one of them has no price: then the cost is not known."""
    run: BilledRun | None = None
    """The last run, until it is charged."""
