"""What the worker that holds a run writes of it."""

from __future__ import annotations

from collections.abc import Sequence

from headway.store.transactions import Connection, marks
from headway.workflows.journal import endings, tables
from headway.workflows.journal.rows import RunRow, RunState, StepRow, StepState


def write(step: StepRow, fence: int, connection: Connection) -> None:
    """Write a step as it is now. Raises LostRun."""
    tables.held(step.run, fence, connection)
    tables.put(step, connection)


def wait(step: StepRow, fence: int, connection: Connection) -> StepRow:
    """Begin to wait, unless the step is there; return it as it is. Raises LostRun."""
    tables.held(step.run, fence, connection)
    known = tables.step(step.run, step.path, connection)
    if known is None:
        tables.put(step, connection)
    return known or step


def expire(step: StepRow, fence: int, connection: Connection) -> StepRow:
    """End a wait as `step` says, unless it has its answer; return what holds. Raises LostRun."""
    tables.held(step.run, fence, connection)
    known = tables.step(step.run, step.path, connection)
    if known is not None and known.state.ended:
        return known
    tables.put(step, connection)
    return step


def suspend(
    now: float, run: str, fence: int, paths: Sequence[str], connection: Connection
) -> RunState:
    """Put a run down that waits in the steps `paths`. Raises LostRun.

    Returns:
        READY if one of them has ended by now, CANCELLED if somebody cancels it, else WAITING.
    """
    row = tables.held(run, fence, connection)
    waits = connection.query(
        f"SELECT state, due_at FROM steps WHERE run = ? AND path IN ({marks(len(paths))})",
        (run, *paths),
    )
    if any(StepState(state).ended for state, _ in waits):
        return endings.put_down(now, row, RunState.READY, connection)
    due = min((due_at for _, due_at in waits if due_at is not None), default=None)
    return endings.put_down(now, row, RunState.WAITING, connection, wake_at=due)


def give_back(now: float, run: str, fence: int, connection: Connection) -> None:
    """Put a run down that another worker may take at once. Raises LostRun."""
    endings.put_down(now, tables.held(run, fence, connection), RunState.READY, connection)


def block(now: float, run: str, fence: int, why: str, connection: Connection) -> None:
    """Put a run down that cannot go on by itself. Raises LostRun."""
    row = tables.held(run, fence, connection)
    endings.put_down(now, row, RunState.BLOCKED, connection, why=why)


def end(run: RunRow, connection: Connection) -> None:
    """Write how a run ended, and pass it to the step that waits for it. Raises LostRun."""
    if run.parent_run is not None:
        tables.lock((run.parent_run,), connection)
    tables.held(run.id, run.fence, connection)
    endings.ended(run, connection)
