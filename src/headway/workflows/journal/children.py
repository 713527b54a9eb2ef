"""A run that starts a run, and waits for its end: at first, and when it goes on or runs again."""

from __future__ import annotations

from dataclasses import replace

from headway.store.transactions import Connection
from headway.workflows.journal import again, tables
from headway.workflows.journal.rows import Definition, RunRow, RunState, StepRow, StepState
from headway.workflows.journal.schema import RUN_COLUMNS, run_of


def begin(
    now: float,
    step: StepRow,
    fence: int,
    child: RunRow,
    definition: Definition,
    connection: Connection,
) -> StepRow:
    """Wait at `step` for the end of `child`, which is started unless it is there.

    One that is there and ended runs again if the step was forgotten: from where it failed if its
    input is the same.

    Returns:
        The step as it is now: it may have ended.

    Raises:
        LostRun: the run that starts it is held by another worker.
    """
    parent = tables.held(step.run, fence, connection)
    known = tables.step(step.run, step.path, connection)
    if known is not None and known.state.ended:
        return known
    rows = connection.query(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE id = ?" + connection.lock, (child.id,)
    )
    if not rows:
        tables.put(step, connection)
        tables.add(replace(child, root_workflow=parent.root_workflow), definition, connection)
        return step
    there = run_of(rows[0])
    if there.input_json == child.input_json and there.state is RunState.FINISHED:
        step = replace(
            step, state=StepState.FINISHED, output_json=there.output_json, ended_at=there.ended_at
        )
    elif there.input_json != child.input_json or (known is None and there.state.ended):
        again.restart(now, there, child, definition, connection)
    elif there.state.ended:
        step = replace(
            step, state=StepState.FAILED, error_json=there.error_json, ended_at=there.ended_at
        )
    tables.put(step, connection)
    return step
