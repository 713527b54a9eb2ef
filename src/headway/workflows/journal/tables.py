"""Statements on runs and steps that several transactions share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace

from headway.store.transactions import Connection, marks
from headway.workflows.journal.errors import KeyTaken, LostRun, NoSuchRun
from headway.workflows.journal.rows import Definition, RunRow, RunState, StepRow
from headway.workflows.journal.schema import (
    RUN_COLUMNS,
    STEP_COLUMNS,
    columns,
    run_of,
    step_of,
)


def add(run: RunRow, definition: Definition, connection: Connection) -> RunRow:
    """Add a run, or return the one that its id or key started before. Raises KeyTaken."""
    run = replace(run, root_workflow=run.root_workflow or run.workflow)
    values = columns(run)
    connection.query(
        f"INSERT INTO runs ({RUN_COLUMNS}) VALUES ({marks(len(values))}) ON CONFLICT DO NOTHING",
        values,
    )
    added = run_of(
        connection.query(
            f"SELECT {RUN_COLUMNS} FROM runs WHERE id = ? OR key = ?", (run.id, run.key)
        )[0]
    )
    if added.workflow != run.workflow:
        raise KeyTaken(f"the key {run.key} started run {added.id} of {added.workflow} before")
    save(definition, connection)
    return added


def save(definition: Definition, connection: Connection) -> None:
    """Keep a definition."""
    connection.query(
        "INSERT INTO definitions (hash, workflow, file, source, saved_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        astuple(definition),
    )


def definition(hash_: str, connection: Connection) -> Definition | None:
    """The definition with this hash."""
    rows = connection.query(
        "SELECT hash, workflow, file, source, saved_at FROM definitions WHERE hash = ?", (hash_,)
    )
    return Definition(*rows[0]) if rows else None


def find(run: str, connection: Connection, columns: str = RUN_COLUMNS) -> RunRow:
    """The run whose id is or begins with `run`. Raises NoSuchRun."""
    rows = connection.query(f"SELECT {columns} FROM runs WHERE id = ?", (run,))
    if rows:
        return run_of(rows[0])
    begins_so = "FROM runs WHERE substr(id, 1, ?) = ?"
    rows = connection.query(
        f"SELECT {columns} {begins_so} ORDER BY length(id), id LIMIT 1", (len(run), run)
    )
    if not rows or not run:
        raise NoSuchRun(f"there is no run {run}; `headway runs list` lists them")
    found = run_of(rows[0])
    others = f"{begins_so} AND id <> ? AND substr(id, 1, ?) <> ?"  # runs that it started are none
    if connection.query(
        f"SELECT 1 {others} LIMIT 1", (len(run), run, found.id, len(found.id) + 1, f"{found.id}.")
    ):
        raise NoSuchRun(f"several runs begin with {run}; write more of the id")
    return found


def held(run: str, fence: int, connection: Connection) -> RunRow:
    """The run, locked, if the claim with the number `fence` still holds it. Raises LostRun."""
    rows = connection.query(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE id = ? AND fence = ? AND state = 'running'"
        + connection.lock,
        (run, fence),
    )
    if not rows:
        raise LostRun(f"run {run} is held by another worker, or was put down")
    return run_of(rows[0])


def locked(run: str, connection: Connection) -> RunRow:
    """The run with the id `run`, which nobody else changes now. Raises NoSuchRun."""
    found = find(run, connection)
    if found.parent_run is not None:
        lock((found.parent_run,), connection)
    rows = connection.query(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE id = ?" + connection.lock, (found.id,)
    )
    return run_of(rows[0])


def lock(runs: Sequence[str], connection: Connection) -> None:
    """Lock runs until the end of the transaction."""
    if connection.lock:
        connection.query(
            f"SELECT id FROM runs WHERE id IN ({marks(len(runs))}) ORDER BY id" + connection.lock,
            tuple(runs),
        )


def runs(
    states: Sequence[RunState],
    workflow: str | None,
    most: int,
    connection: Connection,
    after: str | None = None,
    columns: str = RUN_COLUMNS,
) -> list[RunRow]:
    """The newest runs that are asked for, older ones than the run `after`. Raises NoSuchRun."""
    conditions, values = ["1 = 1"], list[object]()
    if states:
        conditions.append(f"state IN ({marks(len(states))})")
        values += [str(state) for state in states]
    if workflow is not None:
        conditions.append("workflow = ?")
        values.append(workflow)
    if after is not None:
        last = find(after, connection, columns)
        conditions.append("(created_at, id) < (?, ?)")
        values += [last.created_at, last.id]
    rows = connection.query(
        f"SELECT {columns} FROM runs WHERE {' AND '.join(conditions)} "
        "ORDER BY created_at DESC, id DESC LIMIT ?",
        [*values, most],
    )
    return [run_of(row) for row in rows]


def steps(run: str, connection: Connection) -> dict[str, StepRow]:
    """The steps of a run by path, in the order in which they began."""
    rows = connection.query(
        f"SELECT {STEP_COLUMNS} FROM steps WHERE run = ? ORDER BY started_at, path", (run,)
    )
    found = [step_of(row) for row in rows]
    return {step.path: step for step in found}


def step(run: str, path: str, connection: Connection) -> StepRow | None:
    """One step, locked."""
    rows = connection.query(
        f"SELECT {STEP_COLUMNS} FROM steps WHERE run = ? AND path = ?" + connection.lock,
        (run, path),
    )
    return step_of(rows[0]) if rows else None


def ended_among(run: str, paths: Sequence[str], connection: Connection) -> list[StepRow]:
    """Those of the steps `paths` that have ended."""
    rows = connection.query(
        f"SELECT {STEP_COLUMNS} FROM steps WHERE run = ? AND state IN ('finished', 'failed') "
        f"AND path IN ({marks(len(paths))})",
        (run, *paths),
    )
    return [step_of(row) for row in rows]


def put(step: StepRow, connection: Connection) -> None:
    """Write a step over what there is of it."""
    values = columns(step)
    changes = ", ".join(
        f"{name} = excluded.{name}"
        for name in STEP_COLUMNS.split(", ")
        if name not in ("run", "path")
    )
    connection.query(
        f"INSERT INTO steps ({STEP_COLUMNS}) VALUES ({marks(len(values))}) "
        f"ON CONFLICT (run, path) DO UPDATE SET {changes}",
        values,
    )


def questions(connection: Connection) -> list[StepRow]:
    """All that people are asked now, the oldest first."""
    rows = connection.query(
        f"SELECT {STEP_COLUMNS} FROM steps WHERE kind = 'person' AND state = 'waiting' AND EXISTS "
        "(SELECT 1 FROM runs WHERE id = steps.run AND ended_at IS NULL) "
        "ORDER BY started_at, run, path"
    )
    return [step_of(row) for row in rows]


def ended_since(
    workflow: str, state: RunState, since: float, connection: Connection
) -> list[RunRow]:
    """Runs of a workflow that ended so at `since` or later, the first first."""
    rows = connection.query(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE workflow = ? AND state = ? AND ended_at >= ? "
        "ORDER BY ended_at, id",
        (workflow, str(state), since),
    )
    return [run_of(row) for row in rows]


def mark(name: str, connection: Connection) -> str | None:
    """How far a trigger has come."""
    rows = connection.query("SELECT value FROM marks WHERE name = ?", (name,))
    return rows[0][0] if rows else None


def set_mark(name: str, value: str, connection: Connection) -> None:
    """Write how far a trigger has come."""
    connection.query(
        "INSERT INTO marks (name, value) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
