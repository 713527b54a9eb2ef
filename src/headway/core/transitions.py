"""Which state of a request may follow which. Tests hold the state machines to it."""

from __future__ import annotations

from collections.abc import Mapping

from headway.core.request import State

IN_SCHEDULER: Mapping[State, frozenset[State]] = {
    State.NEW: frozenset({State.WAITING, State.REJECTED}),
    State.WAITING: frozenset({State.RUNNING, State.CANCELLED, State.REJECTED}),
    State.RUNNING: frozenset({State.PREEMPTED, State.FINISHED, State.CANCELLED}),
    # Rejected: its backend failed before the first token, and its deadline has since passed.
    State.PREEMPTED: frozenset({State.RUNNING, State.CANCELLED, State.REJECTED}),
    State.FINISHED: frozenset(),
    State.CANCELLED: frozenset(),
    State.REJECTED: frozenset(),
}

IN_BATCHER: Mapping[State, frozenset[State]] = {
    State.NEW: frozenset({State.WAITING, State.REJECTED}),
    State.WAITING: frozenset({State.RUNNING, State.CANCELLED, State.REJECTED}),
    # It waits again when its batch failed or its worker died.
    State.RUNNING: frozenset({State.FINISHED, State.WAITING, State.CANCELLED}),
    State.FINISHED: frozenset(),
    State.CANCELLED: frozenset(),
    State.REJECTED: frozenset(),
}
