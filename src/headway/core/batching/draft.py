"""A batch while it is being filled: the one place that enforces its limits."""

from __future__ import annotations

from headway.core.batching.curve import Curve
from headway.core.batching.limits import Limits
from headway.core.request import Request
from headway.core.settings import INFINITE


class Draft:
    """Admits requests one by one, unless one would break a limit.

    Args:
        limits: sizes, lengths and memory.
        curve: predicts the duration.
        now_s: when the batch would be launched.
        most: largest number of items.
        within_s: longest predicted duration; a single item may exceed it, as it cannot be cut.
    """

    def __init__(
        self, limits: Limits, curve: Curve, now_s: float, most: int, within_s: float = INFINITE
    ) -> None:
        self._limits = limits
        self._curve = curve
        self._now_s = now_s
        self.most = most
        """Largest number of items."""
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
        """Number of items that may still be admitted."""
        return self.most - len(self.requests)

    @property
    def size(self) -> int:
        """Padded number of items."""
        return self._limits.padded_size(len(self.requests))

    def open_to_fillers(self, most: int, within_s: float) -> None:
        """From now on admit only items that are no longer than those admitted so far."""
        self.most = most
        self._within_s = within_s
        self._longest = self.length

    def admit(self, request: Request) -> bool:
        """Admit `request` if all limits and all deadlines in the batch would still be met."""
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
        # Replacing padding takes no time.
        if count > 1 and predicted_s > self._within_s and predicted_s > self.predicted_s:
            return self._refuse(own_length)
        deadline_s = self._deadline_s
        if request.deadline_s is not None and request.deadline_s < deadline_s:
            deadline_s = request.deadline_s
        if deadline_s < INFINITE:
            # A single item is refused only if it cannot meet its deadline by either curve. The
            # difference is computed as for its latest start, so that both round alike.
            took_s = self._curve.late_s if count > 1 else self._curve.soonest_s
            if deadline_s - took_s(size, length) < self._now_s:
                return False
        self.requests.append(request)
        self.length, self.predicted_s, self._deadline_s = length, predicted_s, deadline_s
        return True

    def _refuse(self, length: int) -> bool:
        if length <= self.length:
            self.most = len(self.requests)  # no other item would fit either
        return False
