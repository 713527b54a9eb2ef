"""What people do to runs: answer, cancel."""

from __future__ import annotations

from dataclasses import replace

from headway.store.leases import abandoned
from headway.store.transactions import Connection
from headway.workflows.journal import endings, tables
from headway.workflows.journal.errors import Answered, NoSuchQuestion, TooLate
from headway.workflows.journal.rows import RunRow, RunState, StepRow, StepState


def answer(
    now: float, run: str, path: str, answer_json: str, by: str, kind: str, connection: Connection
) -> StepRow:
    """Answer what a run asks a `person` at `path`, or send it the `event` that it waits for there.

    Raises:
        NoSuchRun, NoSuchQuestion, Answered, TooLate: what its name says.
    """
    row = tables.locked(run, connection)
    step = tables.step(row.id, path, connection)
    if step is None or step.kind != kind:
        if kind == "event":
            raise NoSuchQuestion(f"run {row.id} does not wait for {path} yet: send it again later")
        raise NoSuchQuestion(f"run {row.id} asks nothing at {path}; `headway runs show` shows it")
    if step.state is StepState.FINISHED:
        raise Answered(f"{step.answered_by or 'somebody'} has answered {path} before")
    if step.state is StepState.FAILED or (step.due_at is not None and step.due_at <= now):
        raise TooLate(f"the time to answer {path} of run {row.id} is over")
    if row.state.ended:
        raise TooLate(f"run {row.id} is {row.state}: it needs no answer any more")
    answered = replace(
        step, state=StepState.FINISHED, output_json=answer_json, answered_by=by, ended_at=now
    )
    tables.put(answered, connection)
    endings.wake(row.id, connection)
    return answered


def cancel(now: float, run: str, connection: Connection) -> RunRow:
    """Cancel a run with those that it started: at once where no worker that lives holds it."""
    row = tables.locked(run, connection)
    if row.owner is not None and abandoned(row.owner, row.lease_until or 0.0, connection):
        endings.put_down(now, row, RunState.READY, connection)
        row = tables.locked(row.id, connection)
    endings.cancel(now, row, connection)
    return tables.find(row.id, connection)
