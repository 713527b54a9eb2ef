"""What the drivers of the scheduler and of the batcher share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from headway.core.decision import Reject
from headway.core.estimate import SizeEstimate
from headway.core.request import Request, State

LIVE = frozenset({State.WAITING, State.PREEMPTED, State.RUNNING})


class Machine(Protocol):
    """A Scheduler or a Batcher."""

    requests: Mapping[str, Request]

    def add(self, request: Request, now_s: float) -> Reject | None: ...

    def cancel(self, request_id: str, now_s: float) -> None: ...

    def waiting(self) -> int: ...


@dataclass(kw_only=True)
class EventDriver:
    """Feeds events to a state machine; the driver's `step` carries out and checks decisions."""

    now_s: float = 0.0
    log: list[str] = field(default_factory=list)
    added: dict[str, Request] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    """Last known state of every request."""

    @property
    def machine(self) -> Machine:
        raise NotImplementedError

    def step(self) -> object:
        raise NotImplementedError

    def play(self, sequence: list[tuple[str, object]]) -> None:
        """For each (name, value): call the method of that name, then `step`."""
        for kind, value in sequence:
            getattr(self, kind)(value)
            self.step()

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    def add_new(self, estimate: SizeEstimate, facts: Mapping[str, object]) -> Reject | None:
        """Add a new request; its deadline is `deadline_in_s` from now."""
        facts = dict(facts)
        deadline_in_s = facts.pop("deadline_in_s", None)
        request = Request(
            id=f"r{len(self.added)}",
            arrival_s=self.now_s,
            estimate=estimate,
            deadline_s=None if deadline_in_s is None else self.now_s + deadline_in_s,  # type: ignore
            **facts,  # type: ignore[arg-type]
        )
        self.added[request.id] = request
        rejection = self.machine.add(request, self.now_s)
        if rejection is not None:
            self.log.append(str(rejection))
            assert request.state is State.REJECTED
        return rejection

    def one(self, states: frozenset[State] | set[State], which: int) -> Request | None:
        """Some request in one of `states`, if there is one."""
        found = [request for request in self.added.values() if request.state in states]
        return found[which % len(found)] if found else None

    def cancel_one(self, which: int) -> Request | None:
        """Cancel any request that was ever added; returns it if it was live."""
        request = self.one(set(State), which)
        if request is None:
            return None
        before = request.state
        self.machine.cancel(request.id, self.now_s)
        assert request.state is (State.CANCELLED if before in LIVE else before)
        return request if before in LIVE else None

    def transitions_are_legal(self, table: Mapping[State, frozenset[State]]) -> None:
        """Every request has gone from its last known state to one that may follow."""
        for request in self.added.values():
            before = self.states.get(request.id, State.NEW)
            if request.state is not before:
                assert request.state in table[before], (
                    f"{request.id} went from {before.value} to {request.state.value}"
                )
                self.states[request.id] = request.state

    def no_request_is_lost(self) -> None:
        live = {request.id for request in self.added.values() if request.state in LIVE}
        assert live == set(self.machine.requests)
        waiting = LIVE - {State.RUNNING}
        count = sum(request.state in waiting for request in self.added.values())
        assert self.machine.waiting() == count
