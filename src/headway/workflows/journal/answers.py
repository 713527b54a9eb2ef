"""What people do to runs: answer, cancel, run again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from headway.store.transactions import Connection
from headway.workflows.journal import progress, tables
from headway.workflows.journal.errors import Answered, NoSuchQuestion, NoSuchRun, NotEnded, TooLate
from headway.workflows.journal.rows import Definition, RunRow, RunState, StepRow, StepState

Check = Callable[[StepRow], None]
"""Sees the step that is answered, and raises for an answer that does not fit its question."""

CANCELLED = '{"type": "headway.workflows.errors.Cancelled", "message": "it was cancelled"}'


def answer(
    now: float, run: str, path: str, answer_json: str, by: str, check: Check, connection: Connection
) -> StepRow:
    """Answer what a run asks or waits for at `path`.

    Raises:
        NoSuchRun, NoSuchQuestion, Answered, TooLate: what its name says.
    """
    row = tables.locked(run, connection)
    step = tables.step(row.id, path, connection)
    if step is None or step.kind not in ("person", "event"):
        raise NoSuchQuestion(f"run {row.id} asks nothing at {path}; `headway runs show` shows it")
    if step.state is StepState.FINISHED:
        raise Answered(f"{step.answered_by or 'somebody'} has answered {path} before")
    if step.state is StepState.FAILED or (step.due_at is not None and step.due_at <= now):
        raise TooLate(f"the time to answer {path} of run {row.id} is over")
    if row.state.ended:
        raise TooLate(f"run {row.id} is {row.state}: it needs no answer any more")
    check(step)
    answered = replace(
        step, state=StepState.FINISHED, output_json=answer_json, answered_by=by, ended_at=now
    )
    tables.put(answered, connection)
    progress.wake(row.id, connection)
    return answered


def cancel(now: float, run: str, connection: Connection) -> RunRow:
    """Cancel a run with those that it started: at once where no worker holds it."""
    row = tables.locked(run, connection)
    if row.state.ended:
        return row
    for (child,) in connection.query("SELECT id FROM runs WHERE parent_run = ?", (row.id,)):
        cancel(now, child, connection)
    connection.query("UPDATE runs SET cancelling = 1 WHERE id = ?", (row.id,))
    if row.state is not RunState.RUNNING:
        progress.ended(
            replace(row, state=RunState.CANCELLED, error_json=CANCELLED, ended_at=now), connection
        )
    return tables.find(row.id, connection)


def again(
    run: str, from_path: str | None, definition: Definition | None, connection: Connection
) -> RunRow:
    """Make a run that ended or is blocked ready again.

    Without `from_path` its failed steps are forgotten, with the steps in them. With it, that step
    and all that began or ended after it began.

    Raises:
        NoSuchRun: there is none, or it has no such step.
        NotEnded: it runs or waits.
    """
    row = tables.locked(run, connection)
    if not row.state.ended and row.state is not RunState.BLOCKED:
        raise NotEnded(f"run {row.id} has not ended: it is {row.state}; cancel it first")
    steps = tables.steps(row.id, connection)
    if from_path is not None:
        if from_path not in steps:
            raise NoSuchRun(f"run {row.id} has no step {from_path}; its steps: {', '.join(steps)}")
        began = steps[from_path].started_at or 0.0
        forgotten = [
            one.path
            for one in steps.values()
            if (one.started_at or 0.0) >= began or (one.ended_at or 0.0) > began
        ]
    else:
        failed = [one.path for one in steps.values() if one.state is StepState.FAILED]
        forgotten = [one for one in steps if _is_in(one, failed)]
    for path in forgotten:
        connection.query("DELETE FROM steps WHERE run = ? AND path = ?", (row.id, path))
    if definition is not None:
        tables.save(definition, connection)
    connection.query(
        "UPDATE runs SET state = 'ready', definition = ?, cancelling = 0, why = NULL, "
        "output_json = NULL, error_json = NULL, ended_at = NULL, wake_at = NULL, "
        "fence = fence + 1 WHERE id = ?",
        (row.definition if definition is None else definition.hash, row.id),
    )
    return tables.find(row.id, connection)


def _is_in(path: str, steps: list[str]) -> bool:
    """Whether a step is one of `steps`, or in an attempt of one."""
    return any(path == one or path.startswith((one + "~", one + "/")) for one in steps)
