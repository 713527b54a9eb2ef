"""What the worker that holds a run writes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headway.store.transactions import Connection
from headway.workflows.journal import tables
from headway.workflows.journal.rows import RunRow, RunState, StepRow, StepState
from headway.workflows.journal.schema import marks

PUT_DOWN = "owner = NULL, lease_until = NULL"


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


def suspend(run: str, fence: int, paths: Sequence[str], connection: Connection) -> RunState:
    """Put a run down that waits in the steps `paths`. Raises LostRun.

    Returns:
        READY if one of them has ended by now, else WAITING.
    """
    tables.held(run, fence, connection)
    waits = connection.query(
        f"SELECT state, due_at FROM steps WHERE run = ? AND path IN ({marks(len(paths))})",
        (run, *paths),
    )
    ended = any(StepState(state).ended for state, _ in waits)
    state = RunState.READY if ended else RunState.WAITING
    due = min((due_at for _, due_at in waits if due_at is not None), default=None)
    connection.query(
        f"UPDATE runs SET state = ?, wake_at = ?, {PUT_DOWN} WHERE id = ?",
        (str(state), None if ended else due, run),
    )
    return state


def give_back(run: str, fence: int, connection: Connection) -> None:
    """Put a run down that another worker may take at once. Raises LostRun."""
    tables.held(run, fence, connection)
    connection.query(f"UPDATE runs SET state = 'ready', {PUT_DOWN} WHERE id = ?", (run,))


def block(run: str, fence: int, why: str, connection: Connection) -> None:
    """Put a run down that cannot go on by itself. Raises LostRun."""
    tables.held(run, fence, connection)
    connection.query(
        f"UPDATE runs SET state = 'blocked', why = ?, {PUT_DOWN} WHERE id = ?", (why, run)
    )


def end(run: RunRow, connection: Connection) -> None:
    """Write how a run ended, and pass it to the step that waits for it. Raises LostRun."""
    tables.held(run.id, run.fence, connection)
    ended(run, connection)


def ended(run: RunRow, connection: Connection) -> None:
    """The same for a run that nobody holds."""
    connection.query(
        "UPDATE runs SET state = ?, output_json = ?, error_json = ?, ended_at = ?, wake_at = NULL, "
        f"why = NULL, {PUT_DOWN} WHERE id = ?",
        (str(run.state), run.output_json, run.error_json, run.ended_at, run.id),
    )
    if run.parent_run is None or run.parent_path is None:
        return
    step = tables.step(run.parent_run, run.parent_path, connection)
    if step is None or step.state.ended:
        return
    finished = run.state is RunState.FINISHED
    tables.put(
        replace(
            step,
            state=StepState.FINISHED if finished else StepState.FAILED,
            output_json=run.output_json,
            error_json=run.error_json,
            ended_at=run.ended_at,
        ),
        connection,
    )
    wake(run.parent_run, connection)


def wake(run: str, connection: Connection) -> None:
    """Let a run that waits be claimed."""
    connection.query(
        "UPDATE runs SET state = 'ready', wake_at = NULL WHERE id = ? AND state = 'waiting'",
        (run,),
    )
