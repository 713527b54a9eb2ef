"""Which lines of a burst are written, and which are only counted."""

from __future__ import annotations

from typing import NamedTuple

FOLD_S = 10.0
"""After a line, like ones are counted for this long, and then written as one."""
MOST_KINDS = 200
"""Kinds of lines at a time; more count as those of all others."""
OTHERS = "others"


class Kind(NamedTuple):
    """What makes two refusals alike."""

    who: str
    status: int
    reason: str


class Folding:
    """Counts like refusals: of each kind the first has a line, the rest of 10 s one together.

    The caller passes the time, which never goes backwards, in seconds.
    """

    def __init__(self) -> None:
        self._counts: dict[Kind, int] = {}
        """How many came after the one that has a line."""
        self._since_s: dict[Kind, float] = {}

    def alone(self, kind: Kind, now_s: float) -> bool:
        """Whether this one gets a line of its own; otherwise it is counted."""
        if kind not in self._counts and len(self._counts) >= MOST_KINDS:
            kind = kind._replace(who=OTHERS)
        if kind in self._counts:
            self._counts[kind] += 1
            return False
        self._counts[kind], self._since_s[kind] = 0, now_s
        return True

    def next_s(self) -> float | None:
        """When `due` is to be called; None: nothing is counted."""
        return min(self._since_s.values()) + FOLD_S if self._since_s else None

    def due(self, now_s: float) -> list[tuple[Kind, int, float]]:
        """The kinds whose time is up, with how many came, and within how many seconds.

        A kind that goes on is counted anew, one that does not is forgotten.
        """
        due = [kind for kind, since_s in self._since_s.items() if now_s - since_s >= FOLD_S]
        folded = []
        for kind in due:
            count, since_s = self._counts.pop(kind), self._since_s.pop(kind)
            if count:
                folded.append((kind, count, now_s - since_s))
                self._counts[kind], self._since_s[kind] = 0, now_s
        return folded

    def end(self, now_s: float) -> list[tuple[Kind, int, float]]:
        """All that is counted, with how many came and within how many seconds."""
        folded = [
            (kind, count, now_s - self._since_s[kind])
            for kind, count in self._counts.items()
            if count
        ]
        self._counts.clear()
        self._since_s.clear()
        return folded
