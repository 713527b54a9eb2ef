"""The scheduler's events and decisions, one JSON line each: to be replayed, decision by decision.

A line is written for everything that the scheduler is told, with its time, and for every step
that decided something. The same lines told to a new scheduler give the same decisions, under the
gateway, in the simulator and in a test: `replay` holds it to that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from headway.core.backend import Backend
from headway.core.cost import CostModel
from headway.core.decision import Decision, Reject
from headway.core.estimate import SizeEstimate
from headway.core.request import Request, Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings


class EventLogError(Exception):
    """The log cannot be read; the message names the file and the line."""


class Estimate(msgspec.Struct, frozen=True):
    tokens: tuple[int, ...]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, estimate: SizeEstimate) -> Estimate:
        return cls(estimate.tokens, estimate.weights)

    def back(self) -> SizeEstimate:
        return SizeEstimate(self.tokens, self.weights)


class Event(msgspec.Struct, tag=True, frozen=True, kw_only=True):
    """Something that happened at a time. What the scheduler was told can `tell` it again, and
    gives back the decisions that follow."""

    now_s: float


class Opened(Event, frozen=True, kw_only=True):
    """The first line: the scheduler's settings."""

    settings: SchedulerSettings


class Added(Event, frozen=True, kw_only=True):
    id: str
    arrival_s: float
    prompt_tokens: int
    estimate: Estimate
    lane: str
    tier: int
    tenant: str
    program: str
    priority: int
    deadline_s: float | None
    cached_tokens: int
    prefix: int
    max_tokens: int | None
    preemptible: bool
    score: float | None
    avoid: frozenset[str] = frozenset()
    output_tokens: int = 0
    predicted_tokens: float = 0.0
    started_s: float = -1.0
    preemptions: int = 0
    decided: str
    """The rejection; empty: it waits."""

    def tell(self, scheduler: Scheduler) -> list[str]:
        facts = {name: getattr(self, name) for name in ADDED_AS_IS}
        request = Request(**facts, estimate=self.estimate.back(), tier=Tier(self.tier))
        for name in ADDED_AS_BEFORE:
            setattr(request, name, getattr(self, name))
        reject = scheduler.add(request, self.now_s)
        return [str(reject)] if reject is not None else []


ADDED_AS_BEFORE = ("output_tokens", "predicted_tokens", "started_s", "preemptions")
"""What a request has from before, that ran already and is added again."""
ADDED_AS_IS = tuple(
    name
    for name in Added.__struct_fields__
    if name not in ("now_s", "estimate", "tier", "decided", *ADDED_AS_BEFORE)
)
"""Fields of a request that are written as they are."""


class Progressed(Event, frozen=True, kw_only=True):
    id: str
    output_tokens: int
    lane: str
    """From its first token on, only an engine with the same vocabulary can go on with it."""

    def tell(self, scheduler: Scheduler) -> list[str]:
        scheduler.requests[self.id].lane = self.lane
        scheduler.progress(self.id, self.output_tokens, self.now_s)
        return []


class Finished(Event, frozen=True, kw_only=True):
    id: str

    def tell(self, scheduler: Scheduler) -> list[str]:
        scheduler.finish(self.id, self.now_s)
        return []


class Cancelled(Event, frozen=True, kw_only=True):
    id: str

    def tell(self, scheduler: Scheduler) -> list[str]:
        scheduler.cancel(self.id, self.now_s)
        return []


class Requeued(Event, frozen=True, kw_only=True):
    id: str
    avoid: frozenset[str] = frozenset()

    def tell(self, scheduler: Scheduler) -> list[str]:
        scheduler.requeue(self.id, self.now_s, self.avoid)
        return []


class Revised(Event, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    estimate: Estimate
    score: float | None
    from_start: bool = False

    def tell(self, scheduler: Scheduler) -> list[str]:
        estimate = self.estimate.back()
        scheduler.revise(self.id, estimate, self.score, self.now_s, self.from_start)
        return []


class BackendSet(Event, frozen=True, kw_only=True):
    name: str
    slots: int
    lanes: tuple[str, ...]
    kv_tokens: int | None
    cost: CostModel

    def tell(self, scheduler: Scheduler) -> list[str]:
        lanes = frozenset(self.lanes)
        backend = Backend(self.name, self.slots, lanes, self.kv_tokens, self.cost)
        scheduler.set_backend(backend, self.now_s)
        return []


class BackendRemoved(Event, frozen=True, kw_only=True):
    name: str

    def tell(self, scheduler: Scheduler) -> list[str]:
        scheduler.remove_backend(self.name, self.now_s)
        return []


class Calibrated(Event, frozen=True, kw_only=True):
    cost: CostModel

    def tell(self, scheduler: Scheduler) -> list[str]:
        scheduler.calibrate(self.cost, self.now_s)
        return []


class PolicyUsed(Event, frozen=True, kw_only=True):
    name: str

    def tell(self, scheduler: Scheduler) -> list[str]:
        scheduler.use_policy(self.name, self.now_s)
        return []


class Stepped(Event, frozen=True, kw_only=True):
    decided: tuple[str, ...]

    def tell(self, scheduler: Scheduler) -> list[str]:
        return [str(decision) for decision in scheduler.step(self.now_s)]


Line = (
    Opened
    | Added
    | Progressed
    | Finished
    | Cancelled
    | Requeued
    | Revised
    | BackendSet
    | BackendRemoved
    | Calibrated
    | PolicyUsed
    | Stepped
)


class LoggedScheduler(Scheduler):
    """A scheduler that writes down what it is told and what it decides.

    Args:
        settings: as for any scheduler.
        log: where the lines go; written through a buffer, by whoever calls.
    """

    def __init__(self, settings: SchedulerSettings, log: BinaryIO) -> None:
        super().__init__(settings)
        self._log = log
        opened = Opened(now_s=0.0, settings=settings)
        self._write(_with_infinity(msgspec.to_builtins(opened)))

    def add(self, request: Request, now_s: float) -> Reject | None:
        facts = {name: getattr(request, name) for name in ADDED_AS_IS + ADDED_AS_BEFORE}
        estimate, tier = Estimate.of(request.estimate), int(request.tier)
        reject = super().add(request, now_s)
        decided = str(reject) if reject is not None else ""
        self._write(Added(now_s=now_s, estimate=estimate, tier=tier, decided=decided, **facts))
        return reject

    def progress(self, request_id: str, output_tokens: int, now_s: float) -> None:
        super().progress(request_id, output_tokens, now_s)
        lane = self._requests[request_id].lane
        self._write(Progressed(now_s=now_s, id=request_id, output_tokens=output_tokens, lane=lane))

    def finish(self, request_id: str, now_s: float) -> None:
        super().finish(request_id, now_s)
        self._write(Finished(now_s=now_s, id=request_id))

    def cancel(self, request_id: str, now_s: float) -> None:
        super().cancel(request_id, now_s)
        self._write(Cancelled(now_s=now_s, id=request_id))

    def requeue(self, request_id: str, now_s: float, avoid: frozenset[str] = frozenset()) -> None:
        super().requeue(request_id, now_s, avoid)
        self._write(Requeued(now_s=now_s, id=request_id, avoid=avoid))

    def revise(
        self,
        request_id: str,
        estimate: SizeEstimate,
        score: float | None,
        now_s: float,
        from_start: bool = False,
    ) -> None:
        super().revise(request_id, estimate, score, now_s, from_start)
        self._write(
            Revised(
                now_s=now_s,
                id=request_id,
                estimate=Estimate.of(estimate),
                score=score,
                from_start=from_start,
            )
        )

    def set_backend(self, backend: Backend, now_s: float) -> None:
        super().set_backend(backend, now_s)
        self._write(
            BackendSet(
                now_s=now_s,
                name=backend.name,
                slots=backend.slots,
                lanes=tuple(sorted(backend.lanes)),
                kv_tokens=backend.kv_tokens,
                cost=backend.cost,
            )
        )

    def remove_backend(self, name: str, now_s: float) -> list[Request]:
        orphans = super().remove_backend(name, now_s)
        self._write(BackendRemoved(now_s=now_s, name=name))
        return orphans

    def calibrate(self, cost: CostModel, now_s: float) -> None:
        super().calibrate(cost, now_s)
        self._write(Calibrated(now_s=now_s, cost=cost))

    def use_policy(self, name: str, now_s: float) -> None:
        super().use_policy(name, now_s)
        self._write(PolicyUsed(now_s=now_s, name=name))

    def step(self, now_s: float) -> list[Decision]:
        decisions = super().step(now_s)
        # A step that decides nothing may still have looked whom to preempt, which counts later.
        self._write(Stepped(now_s=now_s, decided=tuple(map(str, decisions))))
        return decisions

    def _write(self, line: Event | dict[str, object]) -> None:
        self._log.write(msgspec.json.encode(line) + b"\n")


def _with_infinity(value: Any) -> Any:
    """Plain values, with the infinite ones as text, for which JSON has no number."""
    if isinstance(value, dict):
        return {key: _with_infinity(inner) for key, inner in value.items()}
    return str(value) if value == float("inf") else value


def read_events(path: Path) -> Iterator[Line]:
    """The lines of a log.

    Raises:
        EventLogError: it cannot be read. A last line that was cut off by a crash is left out.
    """
    decoder = msgspec.json.Decoder(Line, strict=False)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield decoder.decode(line)
                except (msgspec.DecodeError, msgspec.ValidationError) as error:
                    raise EventLogError(f"{path}, line {number}: {error}") from None
    except OSError as error:
        raise EventLogError(f"{path} cannot be read: {error}") from None


def replay(events: Sequence[Line]) -> Iterator[tuple[Line, list[str], list[str]]]:
    """Each event, what was decided on it then, and what a new scheduler decides now.

    Raises:
        EventLogError: the log does not begin with its settings, or begins twice.
    """
    if not events or not isinstance(events[0], Opened):
        raise EventLogError("an event log begins with the settings of its scheduler")
    scheduler = Scheduler(events[0].settings)
    for event in events[1:]:
        if isinstance(event, Opened):
            raise EventLogError("an event log is of one scheduler, and this one begins twice")
        decided = event.tell(scheduler)
        then: list[str] = []
        if isinstance(event, Stepped):
            then = list(event.decided)
        elif isinstance(event, Added) and event.decided:
            then = [event.decided]
        yield event, then, decided
