"""Scaling: how many replicas are on, by how much work is predicted to wait."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from headway.lab.simulation.errors import SimulationError


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


def parse_scaling(
    text: str, cold_start_s: float, idle_s: float, backlog_s: float
) -> Scaling | None:
    """From `LEAST..MOST` and times in seconds; None from nothing: all are always on.

    Raises:
        SimulationError: it cannot be read.
    """
    if not text:
        return None
    least, dots, most = text.partition("..")
    if not (dots and least.isdecimal() and most.isdecimal() and int(most)):
        raise SimulationError(f"cannot read the scale {text!r}; write LEAST..MOST, as in 0..4")
    if int(least) > int(most):
        raise SimulationError(
            f"the scale {text!r} has its least above its most; write {most}..{least}"
        )
    if not (cold_start_s >= 0.0 and idle_s > 0.0 and backlog_s > 0.0):
        raise SimulationError("--idle and --backlog are seconds above 0, --cold-start from 0 on")
    return Scaling(int(least), int(most), cold_start_s, idle_s, backlog_s)
