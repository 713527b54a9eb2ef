"""A token bucket: so much a minute, saved up to one minute's worth."""

from __future__ import annotations

from collections import OrderedDict


class Reservation:
    """What one request took from a bucket before anybody knew what it would use."""

    __slots__ = ("_bucket", "amount")

    def __init__(self, bucket: TokenBucket, amount: float) -> None:
        self._bucket = bucket
        self.amount = amount

    def settle(self, used: float, now_s: float) -> None:
        """Pay for what was used: the rest goes back, the excess is taken. Call it once."""
        self._bucket.settle(self, used, now_s)


class TokenBucket:
    """Takes its time from the caller, so that it can be tested and replayed.

    A reservation leaves the bucket at once, so that a burst cannot pass on one and the same
    level. What it did not use goes back at the end, except what the refill has replaced since:
    the level and all that may still go back never exceed one minute's worth. So in any minute no
    more than two minutes' worth is used, and a reservation that nobody settles is forgotten.

    Args:
        per_minute: refill rate, and the most that can be saved up.
        now_s: the time at which the bucket is full.
    """

    __slots__ = ("_at_s", "_level", "_most", "_open", "_per_s", "_refundable")

    def __init__(self, per_minute: float, now_s: float) -> None:
        self._most = per_minute
        self._per_s = per_minute / 60.0
        self._level = per_minute
        self._at_s = now_s
        self._open: OrderedDict[Reservation, float] = OrderedDict()
        """What each may still give back, the oldest first."""
        self._refundable = 0.0
        """Their sum."""

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` is there; 0 means now. Takes nothing.

        More than a minute's worth is let through once the bucket is full: it could never be.
        """
        self._refill(now_s)
        missing = min(amount, self._most) - self._level
        return max(0.0, missing / self._per_s)

    def reserve(self, amount: float, now_s: float) -> Reservation:
        """Take `amount`, into debt if it is more than there is, until it is settled."""
        self._refill(now_s)
        self._level -= amount
        reservation = Reservation(self, amount)
        self._open[reservation] = amount
        self._refundable += amount
        return reservation

    def settle(self, reservation: Reservation, used: float, now_s: float) -> None:
        """The same as `Reservation.settle`."""
        self._refill(now_s)
        refundable = self._open.pop(reservation, 0.0)
        self._refundable -= refundable
        self._level += min(reservation.amount - used, refundable)
        if not self._open:
            self._refundable = 0.0  # rounding adds up

    def _refill(self, now_s: float) -> None:
        self._level = min(self._most, self._level + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        # Had the oldest reservations been smaller, the bucket would have been full by now.
        excess = self._level + self._refundable - self._most
        while excess > 0.0 and self._open:
            oldest, refundable = next(iter(self._open.items()))
            if refundable > excess:
                self._open[oldest] = refundable - excess
                self._refundable -= excess
                return
            del self._open[oldest]
            self._refundable -= refundable
            excess -= refundable
