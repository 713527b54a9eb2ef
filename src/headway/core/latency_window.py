"""The last durations, in order of size."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque

REMEMBERED = 2000
"""So many are compared: the promise of a tail is one about them."""


class Entry:
    """One duration in a window."""

    __slots__ = ("remembered", "value_s")

    def __init__(self, value_s: float) -> None:
        self.value_s = value_s
        self.remembered = True


class LatencyWindow:
    """The last REMEMBERED durations; adding and asking take a microsecond."""

    __slots__ = ("_entries", "_sorted")

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, value_s: float) -> Entry:
        """Remember `value_s`; forgets the oldest where there are too many."""
        # Without calls: every request adds several.
        entry, entries, values = Entry(value_s), self._entries, self._sorted
        entries.append(entry)
        insort(values, value_s)
        if len(entries) > REMEMBERED:
            oldest = entries.popleft()
            oldest.remembered = False
            del values[bisect_left(values, oldest.value_s)]
        return entry

    def revise(self, entry: Entry, value_s: float) -> None:
        """A duration was an estimate, and is `value_s`. Nothing happens once it is forgotten."""
        if entry.remembered:
            del self._sorted[bisect_left(self._sorted, entry.value_s)]
            insort(self._sorted, value_s)
            entry.value_s = value_s

    def drop(self, entry: Entry) -> None:
        """Forget one duration."""
        if entry.remembered:
            self._entries.remove(entry)
            entry.remembered = False
            del self._sorted[bisect_left(self._sorted, entry.value_s)]

    def quantile_s(self, q: float) -> float:
        """The duration that a share `q` of them is below; 0 where there is none."""
        count = len(self._sorted)
        return self._sorted[min(count - 1, int(q * count))] if count else 0.0

    def above(self, value_s: float) -> int:
        """How many are longer than `value_s`."""
        return len(self._sorted) - bisect_right(self._sorted, value_s)
