"""What is known of the runs that requests are part of: service attained, and along which path."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from headway.core.cost import CostModel
from headway.core.request import Request

REMEMBERED_RUNS = 10_000
"""Runs without a request that are remembered; of more, the one idle for longest is forgotten."""
REMEMBERED_STEPS = 256
"""Steps of a run whose paths are remembered; of more, the first to end is forgotten."""


@dataclass(slots=True)
class Run:
    """One run: its requests so far."""

    arrival_s: float
    """Of its first request."""
    live: int = 0
    """Requests that wait or run."""
    service_s: float = 0.0
    """Work of its requests that have ended."""
    path_s: float = 0.0
    """The same along the longest path."""
    paths_s: OrderedDict[str, float] = field(default_factory=OrderedDict)
    """Service along the longest path to the end of each step."""


class Programs:
    """All runs, by tenant and program. A request without a program is a run of its own.

    Ranks must not change while a request waits, so what a policy needs is written to the request
    when it arrives: siblings that end meanwhile count for those that come after.
    """

    __slots__ = ("_idle", "_live")

    def __init__(self) -> None:
        self._live: dict[tuple[str, str], Run] = {}
        self._idle: OrderedDict[tuple[str, str], Run] = OrderedDict()

    def __len__(self) -> int:
        return len(self._live) + len(self._idle)

    def arrived(self, request: Request) -> None:
        """`request` is new: set its `run_arrival_s`, `run_service_s` and `run_path_s`."""
        if not request.program:
            request.run_arrival_s = request.arrival_s
            return
        key = request.tenant, request.program
        run = self._live.get(key)
        if run is None:
            run = self._idle.pop(key) if key in self._idle else Run(request.arrival_s)
            self._live[key] = run
        run.live += 1
        request.run_arrival_s = run.arrival_s
        request.run_service_s = run.service_s
        known = [run.paths_s[name] for name in request.parents if name in run.paths_s]
        request.run_path_s = max(known) if known else run.path_s

    def left(self, request: Request, cost: CostModel) -> None:
        """`request` neither waits nor runs any more."""
        if not request.program:
            return
        key = request.tenant, request.program
        run = self._live[key]
        service_s = cost.attained_s(request) if request.started_s >= 0.0 else 0.0
        run.service_s += service_s
        path_s = request.run_path_s + service_s
        run.path_s = max(run.path_s, path_s)
        if request.step:
            run.paths_s[request.step] = path_s
            run.paths_s.move_to_end(request.step)
            if len(run.paths_s) > REMEMBERED_STEPS:
                run.paths_s.popitem(last=False)
        run.live -= 1
        if not run.live:
            self._idle[key] = self._live.pop(key)
            if len(self._idle) > REMEMBERED_RUNS:
                self._idle.popitem(last=False)
