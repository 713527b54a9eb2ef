"""Runs that ended run again: from what failed, or from a step."""

from __future__ import annotations

from headway.store.transactions import Connection
from headway.workflows.journal import deaths, endings, tables
from headway.workflows.journal.errors import Finished, NoSuchRun, NotEnded, Pruned
from headway.workflows.journal.rows import Definition, RunRow, RunState, StepRow, StepState

SHOWN = 30
"""Steps that a message names."""


def again(
    now: float,
    run: str,
    from_path: str | None,
    definition: Definition | None,
    connection: Connection,
) -> RunRow:
    """Make a run that ended or is blocked ready again.

    Without `from_path` its failed steps are forgotten, with the steps in them. With it, that step
    and all that began or ended after it began; runs that those started begin anew.

    Raises:
        NoSuchRun: there is none, or it has no such step.
        NotEnded: it runs or waits.
        Pruned: its steps were deleted.
        Finished: it has finished, and no step is named.
    """
    row = tables.locked(run, connection)
    if not row.state.ended and row.state is not RunState.BLOCKED:
        raise NotEnded(
            f"run {row.id} has not ended: it is {row.state}; `headway runs resume FILE {row.id}` "
            f"goes on with it, `headway runs cancel {row.id}` ends it"
        )
    if row.pruned:
        raise Pruned(f"the steps of run {row.id} were deleted since it was old; start a new run")
    if row.state is RunState.FINISHED and from_path is None:
        raise Finished(f"run {row.id} has finished; name the step from which it runs again")
    steps = tables.steps(row.id, connection)
    if from_path is None:
        forgotten = _failed(steps)
    elif from_path not in steps:
        some = ", ".join(list(steps)[:SHOWN]) + (", …" if len(steps) > SHOWN else "")
        raise NoSuchRun(f"run {row.id} has no step {from_path}; its steps: {some}")
    else:
        began = steps[from_path].started_at or 0.0
        forgotten = [
            one
            for one in steps.values()
            if (one.started_at or 0.0) >= began
            or (one.ended_at or 0.0) > began
            or _is_in(one.path, [from_path])
        ]
        for step in forgotten:
            if step.kind == "run":
                _begin_anew(now, row.id, step.path, connection)
    for step in forgotten:
        connection.query("DELETE FROM steps WHERE run = ? AND path = ?", (row.id, step.path))
    if definition is not None:
        tables.save(definition, connection)
    _ready(now, row, row.definition if definition is None else definition.hash, connection)
    return tables.find(row.id, connection)


def restart(
    now: float, there: RunRow, wanted: RunRow, definition: Definition, connection: Connection
) -> None:
    """Let a run that another one started, and wants again, run again; from its failed steps."""
    tables.save(definition, connection)
    if there.input_json != wanted.input_json:
        _forget_all(now, there, connection)
    for step in _failed(tables.steps(there.id, connection)):
        connection.query("DELETE FROM steps WHERE run = ? AND path = ?", (there.id, step.path))
    connection.query(
        "UPDATE runs SET input_json = ?, tier = ? WHERE id = ?",
        (wanted.input_json, wanted.tier, there.id),
    )
    _ready(now, there, definition.hash, connection)
    connection.query("UPDATE runs SET deadline_at = ? WHERE id = ?", (wanted.deadline_at, there.id))


def _ready(now: float, row: RunRow, definition: str, connection: Connection) -> None:
    """Ready again, with as much time as it had at first."""
    deadline_at = None if row.deadline_at is None else now + (row.deadline_at - row.created_at)
    deaths.forget(row.id, connection)
    connection.query(
        "UPDATE runs SET state = 'ready', definition = ?, deadline_at = ?, cancelling = 0, "
        "why = NULL, output_json = NULL, error_json = NULL, ended_at = NULL, wake_at = NULL, "
        f"fence = fence + 1, rounds = rounds + 1, {endings.PUT_DOWN} WHERE id = ?",
        (definition, deadline_at, row.id),
    )


def _begin_anew(now: float, run: str, path: str, connection: Connection) -> None:
    """Forget what the run did that `run` started at `path`."""
    for child in endings.children(run, connection):
        if child.parent_path == path:
            _forget_all(now, child, connection)


def _forget_all(now: float, row: RunRow, connection: Connection) -> None:
    """Forget all that a run and those that it started did; whoever holds one has lost it."""
    for child in endings.children(row.id, connection):
        _forget_all(now, child, connection)
    connection.query("DELETE FROM steps WHERE run = ?", (row.id,))
    connection.query(
        "UPDATE runs SET state = 'cancelled', output_json = NULL, error_json = ?, ended_at = ?, "
        f"wake_at = NULL, fence = fence + 1, {endings.PUT_DOWN} WHERE id = ?",
        (endings.CANCELLED, now, row.id),
    )


def _failed(steps: dict[str, StepRow]) -> list[StepRow]:
    """Those that failed, with the steps in them."""
    failed = [one.path for one in steps.values() if one.state is StepState.FAILED]
    return [one for one in steps.values() if _is_in(one.path, failed)]


def _is_in(path: str, steps: list[str]) -> bool:
    """Whether a step is one of `steps`, or in an attempt of one."""
    return any(path == one or path.startswith((one + "~", one + "/")) for one in steps)
