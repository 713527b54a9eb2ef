"""Prices of the hours of a backend, and how those that run on it share them."""

from __future__ import annotations

from dataclasses import dataclass

from headway.daily_hours import ZonedHours
from headway.prices.tokens import checked_price

HOUR_S = 3600.0
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class HourlyPrice:
    """The price of an hour of a backend, by the time of the day.

    Raises:
        PriceError: one is negative or no number.
    """

    hour: float | None
    """At all other hours; None: not known (yet)."""
    by_hour: tuple[tuple[ZonedHours, float], ...] = ()
    """Other prices at some hours of the day; the first that includes a moment counts."""

    def __post_init__(self) -> None:
        checked_price(self.hour, "the price of an hour")
        for _, price in self.by_hour:
            checked_price(price, "the price of an hour")

    def at(self, unix_s: float) -> float | None:
        """The price of an hour at that moment; None: not known."""
        for hours, price in self.by_hour:
            if hours.include(unix_s):
                return price
        return self.hour


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a meter stood."""

    cost: float
    unpriced_s: float


class SharedHours:
    """Meters the price of one backend, shared equally by all that run on it at each moment.

    So what ran costs together what the backend cost while anything ran. Its idle time is nobody's.

    Durations are on a clock that never goes back; prices go by the time of the day, which may jump.
    """

    def __init__(self, price: HourlyPrice, now_s: float) -> None:
        self._price = price
        self._running = 0
        self._at_s = now_s
        self._cost = 0.0
        """Of one that ran since the meter began."""
        self._unpriced_s = 0.0
        self._minute: tuple[float, float | None] = (-1.0, None)
        """A minute since 1970, and the price of an hour during it."""

    def begin(self, now_s: float, unix_s: float) -> Mark:
        """One more runs from now on; `end` must follow with the mark."""
        mark = self.read(now_s, unix_s)
        self._running += 1
        return mark

    def end(self, mark: Mark, now_s: float, unix_s: float) -> float | None:
        """One runs no longer; returns its share since `mark`, None: it has no price."""
        share = self.share(mark, now_s, unix_s)
        self._running -= 1
        return share

    def share(self, mark: Mark, now_s: float, unix_s: float) -> float | None:
        """The share, up to now, of one that runs since `mark`; None: it has no price."""
        now = self.read(now_s, unix_s)
        return None if now.unpriced_s > mark.unpriced_s else now.cost - mark.cost

    def use(self, price: HourlyPrice, now_s: float, unix_s: float) -> None:
        """This is the price from now on; what ran so far is shared at the one before."""
        self.read(now_s, unix_s)
        self._price = price
        self._minute = (-1.0, None)

    def read(self, now_s: float, unix_s: float) -> Mark:
        """Where the meter stands."""
        left_s = now_s - self._at_s
        if left_s > 0.0:
            self._at_s = now_s
            if self._running:
                self._add(left_s, unix_s)
        return Mark(self._cost, self._unpriced_s)

    def _add(self, left_s: float, unix_s: float) -> None:
        """Share the last `left_s` seconds, minute by minute: prices change at full minutes."""
        at = unix_s - left_s
        while left_s > 0.0:
            minute = at // MINUTE_S
            step_s = min(left_s, max(1e-6, (minute + 1.0) * MINUTE_S - at))
            if self._minute[0] != minute:
                self._minute = (minute, self._price.at(at))
            hour = self._minute[1]
            if hour is None:
                self._unpriced_s += step_s
            else:
                self._cost += hour * step_s / HOUR_S / self._running
            at += step_s
            left_s -= step_s
