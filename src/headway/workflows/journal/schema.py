"""The tables of the journal, in the SQL that SQLite and PostgreSQL share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from headway.store.transactions import Connection
from headway.store.versions import bring_up
from headway.workflows.journal import deaths
from headway.workflows.journal.rows import RunRow, RunState, StepRow, StepState

ORDER = (
    "(CASE tier WHEN 'interactive' THEN 0 WHEN 'batch' THEN 2 ELSE 1 END), "
    "(COALESCE(deadline_at, 1e300)), created_at, id"
)
"""In which order runs are claimed: upper tiers before lower ones, then the first deadline."""

TABLES = (
    "CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS runs (
        id TEXT PRIMARY KEY, workflow TEXT NOT NULL, definition TEXT NOT NULL,
        input_json TEXT NOT NULL, state TEXT NOT NULL, output_json TEXT, error_json TEXT, why TEXT,
        key TEXT UNIQUE, tier TEXT, created_at DOUBLE PRECISION NOT NULL,
        started_at DOUBLE PRECISION, ended_at DOUBLE PRECISION, deadline_at DOUBLE PRECISION,
        wake_at DOUBLE PRECISION, parent_run TEXT, parent_path TEXT, owner TEXT,
        fence INTEGER NOT NULL, lease_until DOUBLE PRECISION, cancelling INTEGER NOT NULL,
        root_workflow TEXT NOT NULL, rounds INTEGER NOT NULL, pruned INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS steps (
        run TEXT NOT NULL, path TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
        fingerprint TEXT NOT NULL, attempt INTEGER NOT NULL, output_json TEXT, error_json TEXT,
        question_json TEXT, due_at DOUBLE PRECISION, answered_by TEXT,
        started_at DOUBLE PRECISION, ended_at DOUBLE PRECISION, model TEXT,
        prompt_tokens INTEGER, output_tokens INTEGER, PRIMARY KEY (run, path))""",
    """CREATE TABLE IF NOT EXISTS definitions (
        hash TEXT PRIMARY KEY, workflow TEXT NOT NULL, file TEXT NOT NULL, source TEXT NOT NULL,
        saved_at DOUBLE PRECISION NOT NULL)""",
    f"CREATE INDEX IF NOT EXISTS runs_to_claim ON runs (workflow, {ORDER}) WHERE state = 'ready'",
    "CREATE INDEX IF NOT EXISTS children_to_claim "
    f"ON runs (root_workflow, {ORDER}) WHERE state = 'ready'",
    "CREATE INDEX IF NOT EXISTS runs_that_wait ON runs (state, wake_at)",
    "CREATE INDEX IF NOT EXISTS runs_that_run ON runs (owner) WHERE state = 'running'",
    "CREATE INDEX IF NOT EXISTS runs_by_state ON runs (state, created_at, id)",
    "CREATE INDEX IF NOT EXISTS runs_by_time ON runs (created_at, id)",
    "CREATE INDEX IF NOT EXISTS runs_by_workflow ON runs (workflow, created_at, id)",
    "CREATE INDEX IF NOT EXISTS runs_by_end ON runs (workflow, state, ended_at)",
    "CREATE INDEX IF NOT EXISTS runs_to_prune ON runs (ended_at) WHERE pruned = 0",
    "CREATE INDEX IF NOT EXISTS runs_by_parent ON runs (parent_run)",
    "CREATE INDEX IF NOT EXISTS steps_that_wait ON steps (kind, state)",
)

RUN_COLUMNS = ", ".join(field.name for field in fields(RunRow))
STEP_COLUMNS = ", ".join(field.name for field in fields(StepRow))


def prepare(connection: Connection) -> None:
    """Make the tables that are missing. Raises NewerDatabase."""
    bring_up(connection, "runs", (TABLES, (deaths.TABLE,)))


def run_of(row: Sequence[Any]) -> RunRow:
    """The run in a row of RUN_COLUMNS."""
    values = dict(zip((field.name for field in fields(RunRow)), row, strict=True))
    values["state"] = RunState(values["state"])
    values["cancelling"] = bool(values["cancelling"])
    values["pruned"] = bool(values["pruned"])
    return RunRow(**values)


def step_of(row: Sequence[Any]) -> StepRow:
    """The step in a row of STEP_COLUMNS."""
    values = dict(zip((field.name for field in fields(StepRow)), row, strict=True))
    values["state"] = StepState(values["state"])
    return StepRow(**values)


def columns(row: RunRow | StepRow) -> tuple[Any, ...]:
    """The values of a row, in the order of its columns."""
    return tuple(
        int(value) if isinstance(value, bool) else str(value) if isinstance(value, str) else value
        for value in (getattr(row, field.name) for field in fields(row))
    )
