"""All backends, and how much runs on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from headway.core.backend import Backend
from headway.core.fairness import OUTPUT_WEIGHT, PROMPT_WEIGHT, Fairness
from headway.core.request import Request
from headway.core.running import Running
from headway.core.settings import SchedulerSettings

Produced = Callable[[Backend, float], Sequence[tuple[Request, int]]]
"""Returns the requests that run on a backend at a time, and their output tokens."""


class Backends:
    """The backends by name and by lane, with the counts and caps of what runs on them.

    Args:
        settings: has the caps.
        ledger: charges tenants for their service; None: fairness is off.
        produced: see `Scheduler`.
    """

    __slots__ = ("_by_lane", "_ledger", "_produced", "by_name", "running")

    def __init__(
        self,
        settings: SchedulerSettings,
        ledger: Fairness | None,
        produced: Produced | None,
    ) -> None:
        self._ledger = ledger
        self._produced = produced
        self.by_name: dict[str, Backend] = {}
        self._by_lane: dict[str, list[Backend]] = {}
        self.running = Running(settings)
        """Running requests on all backends."""

    @property
    def piecewise(self) -> bool:
        """Whether any of them takes prompts in pieces."""
        return any(backend.piecewise for backend in self.by_name.values())

    @property
    def slots(self) -> int:
        """Slots of all backends."""
        return sum(backend.slots for backend in self.by_name.values())

    def set(self, backend: Backend) -> None:
        """Add `backend`, or update the slots, lanes, KV budget and cost of the one of that name."""
        known = self.by_name.get(backend.name)
        if known is None:
            self.by_name[backend.name] = backend
        else:
            known.slots = backend.slots
            known.lanes = backend.lanes
            known.kv_tokens = backend.kv_tokens
            known.cost = backend.cost
            known.piecewise = backend.piecewise
        self._map_lanes()

    def remove(self, name: str) -> None:
        """Remove a backend on which nothing runs."""
        del self.by_name[name]
        self._map_lanes()

    def of_lane(self, lane: str) -> Sequence[Backend]:
        """The backends that serve `lane`, in the order in which they were added."""
        return self._by_lane.get(lane, ())

    def has_free_slot(self, lane: str) -> bool:
        """Whether a backend that serves `lane` has a free slot."""
        for backend in self._by_lane.get(lane, ()):
            running = len(backend.running)
            if running < backend.slots and running < backend.granted:
                return True
        return False

    def take(self, request: Request, backend: Backend, now_s: float) -> None:
        """`request` starts on `backend`. Its tenant pays for the prompt on the first start."""
        if request.started_s < 0.0:
            request.started_s = now_s
            if self._ledger is not None:
                uncached = max(0, request.prompt_tokens - request.cached_tokens)
                self._ledger.charge(request.tenant, PROMPT_WEIGHT * uncached)
        request.resumed_s = now_s
        request.resumed_tokens = request.output_tokens
        backend.take(request)
        self.running.add(request)

    def release(self, request: Request) -> None:
        """`request` no longer runs."""
        self.by_name[request.backend].release(request)
        self.running.remove(request)

    def progressed(self, backend: Backend, produced: Sequence[tuple[Request, int]]) -> None:
        """Each of these requests, which run on `backend`, has that many output tokens in all."""
        if self._ledger is not None:
            for request, output_tokens in produced:
                new_tokens = output_tokens - request.output_tokens
                self._ledger.charge(request.tenant, OUTPUT_WEIGHT * new_tokens)
        backend.progressed(produced)

    def catch_up(self, backends: Iterable[Backend], now_s: float) -> None:
        """Ask a driver that does not report every token what runs on `backends` has produced."""
        if self._produced is not None:
            for backend in backends:
                self.progressed(backend, self._produced(backend, now_s))

    def _map_lanes(self) -> None:
        self._by_lane = {}
        for backend in self.by_name.values():
            for lane in backend.lanes:
                self._by_lane.setdefault(lane, []).append(backend)
