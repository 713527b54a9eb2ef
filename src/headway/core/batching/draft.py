"""A batch while it is put together: the one place where its limits are kept."""

from __future__ import annotations

from headway.core.batching.curve import Curve
from headway.core.batching.limits import Limits
from headway.core.request import Request
from headway.core.settings import INFINITE


class Draft:
    """Takes requests one by one, and none that would break a limit.

    Args:
        limits: sizes, lengths and memory.
        curve: predicts its duration.
        now_s: when it would be launched.
        most: items, at most.
        within_s: predicted duration, at most; one item may take longer, as it cannot be cut.
    """

    def __init__(
        self, limits: Limits, curve: Curve, now_s: float, most: int, within_s: float = INFINITE
    ) -> None:
        self._limits = limits
        self._curve = curve
        self._now_s = now_s
        self.most = most
        """Items that it may have."""
        self._within_s = within_s
        self._longest = INFINITE
        self._deadline_s = INFINITE
        self.requests: list[Request] = []
        self.length = 0
        """Padded length."""
        self.predicted_s = 0.0

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def room(self) -> int:
        """Items that may still come in."""
        return self.most - len(self.requests)

    @property
    def size(self) -> int:
        """Items that it would be run as."""
        return self._limits.padded_size(len(self.requests))

    def open_to_fillers(self, most: int, within_s: float) -> None:
        """From now on take what fits beside those that are in: no longer than they are."""
        self.most = most
        self._within_s = within_s
        self._longest = self.length

    def admit(self, request: Request) -> bool:
        """Take `request` in, if every limit and the deadlines of all in it are then kept."""
        limits = self._limits
        count = len(self.requests) + 1
        own_length = limits.padded_length(request.prompt_tokens)
        if count > self.most or own_length > self._longest:
            return False
        length = max(own_length, self.length)
        if not limits.holds(count, length):
            return self._refuse(own_length)
        size = limits.padded_size(count)
        predicted_s = self._curve.batch_s(size, length)
        # A place that is only padding takes no time.
        if count > 1 and predicted_s > self._within_s and predicted_s > self.predicted_s:
            return self._refuse(own_length)
        deadline_s = self._deadline_s
        if request.deadline_s is not None and request.deadline_s < deadline_s:
            deadline_s = request.deadline_s
        if deadline_s < INFINITE:
            # One item alone is refused only if there is no hope. The difference is written as its
            # latest start is, so that both round alike.
            took_s = self._curve.late_s if count > 1 else self._curve.soonest_s
            if deadline_s - took_s(size, length) < self._now_s:
                return False
        self.requests.append(request)
        self.length, self.predicted_s, self._deadline_s = length, predicted_s, deadline_s
        return True

    def _refuse(self, length: int) -> bool:
        if length <= self.length:
            self.most = len(self.requests)  # nor would anybody else fit
        return False
