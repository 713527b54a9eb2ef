"""How runs end or are put down, and what that means for the runs above and below them.

A run is locked after the one that waits for it, everywhere, so that two transactions never wait for
each other.
"""

from __future__ import annotations

from dataclasses import replace

from headway.store.transactions import Connection
from headway.workflows.journal import deaths, tables
from headway.workflows.journal.rows import RunRow, RunState, StepState
from headway.workflows.journal.schema import RUN_COLUMNS, run_of

CANCELLED = '{"type": "headway.workflows.errors.Cancelled", "message": "it was cancelled"}'
PUT_DOWN = "owner = NULL, lease_until = NULL"


def put_down(
    now: float,
    row: RunRow,
    state: RunState,
    connection: Connection,
    *,
    wake_at: float | None = None,
    why: str | None = None,
) -> RunState:
    """Put a run down, unless somebody cancels it: then it ends; return its state."""
    if row.cancelling:
        cancelled(now, row, connection)
        return RunState.CANCELLED
    connection.query(
        f"UPDATE runs SET state = ?, wake_at = ?, why = ?, fence = fence + 1, {PUT_DOWN} "
        "WHERE id = ?",
        (str(state), wake_at, why, row.id),
    )
    return state


def cancel(now: float, row: RunRow, connection: Connection) -> None:
    """Cancel a run, which is locked, with those that it started."""
    if row.state.ended:
        return
    connection.query("UPDATE runs SET cancelling = 1 WHERE id = ?", (row.id,))
    if row.state is RunState.RUNNING:  # its worker ends it
        for child in children(row.id, connection, alive=True):
            cancel(now, child, connection)
    else:
        cancelled(now, row, connection)


def cancelled(now: float, row: RunRow, connection: Connection) -> None:
    """Write that a run was cancelled."""
    ended(replace(row, state=RunState.CANCELLED, error_json=CANCELLED, ended_at=now), connection)


def ended(run: RunRow, connection: Connection) -> None:
    """Write how a run ended; pass it to the step that waits for it, and cancel what it started."""
    if run.parent_run is not None:
        tables.lock((run.parent_run,), connection)
    connection.query(
        "UPDATE runs SET state = ?, output_json = ?, error_json = ?, ended_at = ?, wake_at = NULL, "
        f"why = NULL, {PUT_DOWN} WHERE id = ?",
        (str(run.state), run.output_json, run.error_json, run.ended_at, run.id),
    )
    deaths.forget(run.id, connection)
    for child in children(run.id, connection, alive=True):
        cancel(run.ended_at or 0.0, child, connection)
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
    """Let a run that waits, and is locked, be claimed."""
    connection.query(
        "UPDATE runs SET state = 'ready', wake_at = NULL WHERE id = ? AND state = 'waiting'",
        (run,),
    )


def children(run: str, connection: Connection, *, alive: bool = False) -> list[RunRow]:
    """The runs that a run started, locked; only those that have not ended if `alive`."""
    rows = connection.query(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE parent_run = ?"
        + (" AND ended_at IS NULL" if alive else "")
        + " ORDER BY id"
        + connection.lock,
        (run,),
    )
    return [run_of(row) for row in rows]
