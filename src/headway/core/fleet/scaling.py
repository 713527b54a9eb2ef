"""Scaling: how many replicas should be on for the predicted work that waits."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Scaling:
    """The rule that starts and drains replicas of one engine."""

    least: int
    """Replicas that stay on without work; with 0 the first request starts one."""
    most: int
    cold_start_s: float = 60.0
    """Time from a replica's start until it takes requests. It costs from its start."""
    idle_s: float = 300.0
    """A replica is drained when the others could have run everything for this long."""
    backlog_s: float = 10.0
    """Predicted seconds of waiting work per slot above which another replica is started."""

    def wanted(self, on: int, slots: int, requests: int, waiting_s: float) -> int:
        """Replicas to have: at least those that are on, and not more than could run all at once.

        Args:
            on: replicas that are on or starting.
            slots: of one replica.
            requests: that wait or run.
            waiting_s: predicted service time of waiting requests.
        """
        useful = ceil(requests / slots)
        for_backlog = ceil(waiting_s / (self.backlog_s * slots))
        return max(on, self.least, min(self.most, useful, for_backlog))

    def spare(self, on: int, slots: int, requests: int, waiting_s: float) -> bool:
        """Whether one replica could go: the others have slots for all requests."""
        return not waiting_s and on > self.least and requests <= (on - 1) * slots


def least_and_most(text: str) -> tuple[int, int]:
    """How many there are at least and at most, from `LEAST..MOST`.

    Raises:
        ValueError: it cannot be read.
    """
    least, dots, most = text.partition("..")
    if not (dots and least.isdecimal() and most.isdecimal() and int(most)):
        raise ValueError(f"cannot read the scale {text!r}; write LEAST..MOST, as in 0..4")
    if int(least) > int(most):
        raise ValueError(f"the scale {text!r} has its least above its most; write {most}..{least}")
    return int(least), int(most)
