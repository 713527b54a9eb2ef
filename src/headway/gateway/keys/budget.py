"""What may be spent in each day or month, a pure state machine.

A request reserves what it is predicted to need and settles what it used, so that a burst exceeds a
budget by no more than its predictions were too low.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal

Unit = Literal["tokens", "money"]
Period = Literal["day", "month"]

LINES_TRIED_EVERY_S = 60.0
"""How often lines of batches are tried where one did not fit."""


@dataclass(frozen=True, slots=True)
class Amount:
    """What a request needs, or what it used."""

    tokens: float
    money: float | None
    """None: it has no price."""

    def of(self, unit: Unit) -> float | None:
        """The part that counts in this unit."""
        return self.tokens if unit == "tokens" else self.money


class Allowance:
    """One limit: so many tokens, or so much money, in each day or month (UTC).

    Where the clock jumps back, the later period goes on: what was spent stays spent.
    """

    def __init__(self, unit: Unit, period: Period, most: float) -> None:
        self.unit: Unit = unit
        self.period: Period = period
        self.most = most
        self.spent = 0.0
        self.reserved = 0.0
        """By requests under way."""
        self._under_way = 0
        """How many they are."""
        self._lacked = 0.0
        """What the last line of a batch that was refused needs; 0: lines fitted since."""
        self._lacked_at_s = 0.0
        self.refused = 0
        """Requests in this period, as far as this process has seen it."""
        self.downgraded = 0
        """The same, of those that ran on in tier batch or on another model."""
        self.began_s = 0.0
        """When this period began, in seconds since 1970."""
        self.known = False
        """Whether what was spent before, in this period, is counted."""

    @property
    def left(self) -> float:
        """What may still be reserved."""
        return max(0.0, self.most - self.spent - self.reserved)

    @property
    def resets_at_s(self) -> float:
        """When the next period begins, in seconds since 1970."""
        began = datetime.fromtimestamp(self.began_s, UTC)
        ahead = timedelta(days=1 if self.period == "day" else 32)
        return begin_of(self.period, (began + ahead).timestamp())

    def turn(self, unix_s: float) -> None:
        """It is `unix_s` now: a new period may have begun."""
        began_s = begin_of(self.period, unix_s)
        if began_s > self.began_s:
            self.known = self.began_s > 0.0  # in the next one nothing is spent yet
            self.began_s = began_s
            self.spent = self.reserved = 0.0
            self._under_way = 0
            self._lacked = 0.0
            self.refused = self.downgraded = 0

    def lacks(self, amount: float) -> bool:
        """Whether `amount` is not left. Nothing is always left."""
        return amount > 0.0 and self.spent + self.reserved + amount > self.most

    def reserve(self, amount: float) -> None:
        """A request is predicted to need `amount`; `settle` must follow."""
        self.reserved += amount
        self._under_way += 1

    def refuse_line(self, amount: float, unix_s: float) -> None:
        """A line of a batch was refused, as `amount` is not left."""
        self._lacked, self._lacked_at_s = amount, unix_s

    def lacks_for_lines(self, unix_s: float) -> float:
        """What the last line needed that was refused; 0: others may be tried.

        Others may need less, so some are tried now and then; not all at once, as there may be
        thousands, and each would be read and predicted only to be refused.
        """
        recently = abs(unix_s - self._lacked_at_s) < LINES_TRIED_EVERY_S
        return self._lacked if recently and self.lacks(self._lacked) else 0.0

    def settle(self, began_s: float, reserved: float, used: float, of_batch: bool) -> None:
        """A request that reserved this much, in the period that began then, used so much of it.

        Args:
            began_s: from `began_s`, when it reserved.
            reserved: by it.
            used: by it.
            of_batch: it is a line of a batch.
        """
        if began_s == self.began_s:  # else it counts in a period that is over
            self._under_way -= 1
            # Sums of floating-point numbers do not end at zero by themselves.
            self.reserved = max(0.0, self.reserved - reserved) if self._under_way else 0.0
            self.spent += used
            if of_batch:
                self._lacked = 0.0  # one fitted: there may be more of its size


class Reservation:
    """What one request has reserved, until it ends."""

    __slots__ = ("_of_batch", "_parts")

    def __init__(self, parts: list[tuple[Allowance, float]], of_batch: bool) -> None:
        self._of_batch = of_batch
        self._parts = [(one, one.began_s, amount) for one, amount in parts]
        for allowance, amount in parts:
            allowance.reserve(amount)

    def settle(self, used: Amount) -> None:
        """The request used this; what has no price counts as it was predicted. Again: no effect."""
        for allowance, began_s, reserved in self._parts:
            amount = used.of(allowance.unit)
            used_of_it = reserved if amount is None else amount
            allowance.settle(began_s, reserved, used_of_it, self._of_batch)
        self._parts = []

    def withdraw(self) -> None:
        """The request used nothing. A second call has no effect."""
        self.settle(Amount(0.0, 0.0))


def begin_of(period: Period, unix_s: float) -> float:
    """When the day or month of that moment began, in UTC."""
    day = datetime.fromtimestamp(unix_s, UTC).date()
    began = day if period == "day" else day.replace(day=1)
    return datetime.combine(began, time(), UTC).timestamp()
