"""Scaling: how many replicas are on, by how much work is predicted to wait."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Scaling:
    """The rule by which replicas of one engine are started and drained."""

    least: int
    """Replicas that stay on without work; with 0 the first request starts one."""
    most: int
    cold_start_s: float = 60.0
    """From a replica's start until it takes requests. It costs from its start on."""
    idle_s: float = 300.0
    """A replica is drained when for so long the others could have run all there was."""
    backlog_s: float = 10.0
    """Predicted seconds of waiting work for each slot, above which another one is started."""

    def wanted(self, on: int, slots: int, requests: int, waiting_s: float) -> int:
        """Replicas to have: no fewer than there are, and no more than could run all at once.

        Args:
            on: those that are on or starting.
            slots: of one replica.
            requests: those that wait or run.
            waiting_s: predicted service time of those that wait.
        """
        useful = ceil(requests / slots)
        for_backlog = ceil(waiting_s / (self.backlog_s * slots))
        return max(on, self.least, min(self.most, useful, for_backlog))

    def spare(self, on: int, slots: int, requests: int, waiting_s: float) -> bool:
        """Whether one of those that are on could go: the others have room for all there is."""
        return not waiting_s and on > self.least and requests <= (on - 1) * slots
