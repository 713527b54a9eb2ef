"""A token bucket with a rate per minute; it holds at most one minute's worth."""

from __future__ import annotations

from collections import OrderedDict


class Reservation:
    """The predicted use of one request, taken from a bucket."""

    __slots__ = ("_bucket", "amount")

    def __init__(self, bucket: TokenBucket, amount: float) -> None:
        self._bucket = bucket
        self.amount = amount

    def settle(self, used: float, now_s: float) -> None:
        """Return what was not used to the bucket, or take the excess. Call it once."""
        self._bucket.settle(self, used, now_s)


class TokenBucket:
    """A token bucket. The caller passes the time, so that it can be tested and replayed.

    A reservation is taken at once, so that requests of a burst cannot all see the same level. What
    was not used is returned at the end, except what the refill has replaced since: the level and
    all that may still be returned never exceed one minute's worth. So no more than two minutes'
    worth is used in any minute, and a reservation that is never settled has no lasting effect.

    Args:
        per_minute: refill rate, and capacity.
        now_s: the current time; the bucket starts full.
    """

    __slots__ = ("_at_s", "_level", "_most", "_open", "_per_s", "_refundable")

    def __init__(self, per_minute: float, now_s: float) -> None:
        self._most = per_minute
        self._per_s = per_minute / 60.0
        self._level = per_minute
        self._at_s = now_s
        self._open: OrderedDict[Reservation, float] = OrderedDict()
        """The amount that each may still return, oldest first."""
        self._refundable = 0.0
        """Their sum."""

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` is available; 0 means now. Takes nothing.

        An amount above the capacity passes once the bucket is full.
        """
        self._refill(now_s)
        missing = min(amount, self._most) - self._level
        return max(0.0, missing / self._per_s)

    def reserve(self, amount: float, now_s: float) -> Reservation:
        """Take `amount` until it is settled; the level may become negative."""
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
            self._refundable = 0.0  # rounding errors add up

    def _refill(self, now_s: float) -> None:
        self._level = min(self._most, self._level + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        # The refill has replaced this much of the oldest reservations: it is not returned.
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
