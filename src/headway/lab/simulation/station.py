"""A queue and its sites: all of them, or with routing, one."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from headway.core.backends import Produced
from headway.core.request import Request
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.site import Site


class Station:
    """A scheduler and its sites. Backends are added when they turn on.

    Args:
        sites: ranks are in the seconds of the first.
        settings: of the scheduler.
        produced: for the scheduler, when it compares running requests.
    """

    def __init__(
        self, sites: Sequence[Site], settings: SchedulerSettings, produced: Produced
    ) -> None:
        self.name = sites[0].name
        self.scheduler = Scheduler(settings, produced)
        self._cost = sites[0].backend.cost
        self.scheduler.calibrate(self._cost, 0.0)
        self.wakeup_s = inf
        """When the scheduler has to decide next."""

    @property
    def requests(self) -> int:
        """Requests that wait or run."""
        return len(self.scheduler.requests)

    @property
    def slots(self) -> int:
        """Slots of all backends that are on."""
        return sum(backend.slots for backend in self.scheduler.backends.values())

    def serves(self, lane: str) -> bool:
        """Whether a backend that is on serves `lane`."""
        return any(lane in backend.lanes for backend in self.scheduler.backends.values())

    @property
    def waiting_s(self) -> float:
        """Predicted work that waits."""
        return self.scheduler.outlook.backlog_s() * max(1, self.slots)

    def duration_s(self, request: Request) -> float:
        """Predicted remaining time of a request here."""
        return self._cost.duration_s(request)

    def remaining_s(self, request: Request) -> float:
        """Predicted remaining work of a request here."""
        return self._cost.remaining_s(request)

    def work_s(self, now_s: float) -> float:
        """Predicted time until all that waits and runs is done, with every slot."""
        backends = self.scheduler.backends.values()
        self.scheduler.catch_up(backends, now_s)
        running_s = sum(
            b.cost.remaining_s(request) for b in backends for request in b.running.values()
        )
        return self.scheduler.outlook.backlog_s() + running_s / max(1, self.slots)
