"""Runs and steps without what they were given and what they returned, for who looks at many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from headway.store.transactions import Connection, marks
from headway.workflows.journal import tables
from headway.workflows.journal.rows import RunRow, RunState, StepRow
from headway.workflows.journal.schema import RUN_COLUMNS, STEP_COLUMNS, step_of

_RUN = RUN_COLUMNS.replace("input_json", "'null'").replace("output_json", "NULL")
_STEP = STEP_COLUMNS.replace("output_json", "NULL").replace(
    "question_json", "CASE WHEN kind = 'person' THEN question_json END"
)


class RunOutline(NamedTuple):
    """A run, and how far it is."""

    run: RunRow
    """With neither input nor output."""
    steps: int
    """That began."""
    ended: int


def runs(
    states: Sequence[RunState],
    workflow: str | None,
    after: str | None,
    most: int,
    connection: Connection,
) -> list[RunOutline]:
    """The newest runs that are asked for, older ones than the run `after`. Raises NoSuchRun."""
    found = tables.runs(states, workflow, most, connection, after, _RUN)
    far = _far([row.id for row in found], connection)
    return [RunOutline(row, *far.get(row.id, (0, 0))) for row in found]


def run(id: str, connection: Connection) -> RunRow:
    """One run. Raises NoSuchRun."""
    return tables.find(id, connection, _RUN)


def steps(run: str, connection: Connection) -> list[StepRow]:
    """The steps of a run in the order in which they began; with what people are asked."""
    rows = connection.query(
        f"SELECT {_STEP} FROM steps WHERE run = ? ORDER BY started_at, path", (run,)
    )
    return [step_of(row) for row in rows]


def _far(runs: Sequence[str], connection: Connection) -> dict[str, tuple[int, int]]:
    if not runs:
        return {}
    rows = connection.query(
        "SELECT run, COUNT(*), COUNT(CASE WHEN state IN ('finished', 'failed') THEN 1 END) "
        f"FROM steps WHERE run IN ({marks(len(runs))}) GROUP BY run",
        runs,
    )
    return {run: (began, ended) for run, began, ended in rows}
