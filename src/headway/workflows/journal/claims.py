"""Which worker holds which run, and until when."""

from __future__ import annotations

from collections.abc import Sequence

from headway.store.leases import abandoned
from headway.store.transactions import Connection, marks
from headway.workflows.journal import deaths, endings
from headway.workflows.journal.rows import RunRow, RunState
from headway.workflows.journal.schema import ORDER, RUN_COLUMNS, run_of


def claim(
    now: float,
    owner: str,
    workflows: Sequence[str],
    most: int,
    lease_s: float,
    holding: Sequence[str],
    connection: Connection,
    *,
    only: str | None = None,
) -> list[RunRow]:
    """Claim up to `most` runs that may run now; those of owners that died are among them.

    What `owner` holds besides `holding` is freed first: a claim whose answer was lost. Of runs
    that may kill their process, it gets one at a time. `only` is a run, which with those that it
    started is all that is claimed.
    """
    own, its = "", list[object]()
    if only is not None:
        own, its = " AND (id = ? OR substr(id, 1, ?) = ?)", [only, len(only) + 1, f"{only}."]
    _free_abandoned(now, owner, holding, connection)
    connection.query(
        "UPDATE runs SET state = 'ready', wake_at = NULL WHERE state = 'waiting' AND wake_at <= ?",
        (now,),
    )
    ready: dict[str, RunRow] = {}
    suspected = deaths.suspects(connection)
    for workflow in workflows:
        for column in ("workflow", "root_workflow"):
            rows = connection.query(
                f"SELECT {RUN_COLUMNS} FROM runs WHERE state = 'ready' AND {column} = ?{own} "
                f"ORDER BY {ORDER} LIMIT ?" + connection.skip_locked,
                (workflow, *its, most + len(suspected)),
            )
            ready |= {row.id: row for row in map(run_of, rows)}
    if not ready:
        return []
    claimed, lease_until = [], connection.now() + lease_s
    ordered = sorted(ready.values(), key=_order)
    for run in deaths.one_suspect(ordered, suspected, holding)[:most]:
        connection.query(
            "UPDATE runs SET state = 'running', owner = ?, fence = fence + 1, lease_until = ?, "
            "wake_at = NULL, started_at = COALESCE(started_at, ?) WHERE id = ?",
            (owner, lease_until, now, run.id),
        )
        claimed += connection.query(f"SELECT {RUN_COLUMNS} FROM runs WHERE id = ?", (run.id,))
    return [run_of(row) for row in claimed]


def _order(run: RunRow) -> tuple[int, float, float, str]:
    """The same as ORDER."""
    rank = {"interactive": 0, "batch": 2}.get(run.tier or "", 1)
    deadline_at = 1e300 if run.deadline_at is None else run.deadline_at
    return rank, deadline_at, run.created_at, run.id


def _free_abandoned(now: float, owner: str, holding: Sequence[str], connection: Connection) -> None:
    """Make the runs of dead owners ready, and those that `owner` holds without knowing it."""
    held = connection.query(
        "SELECT owner, MAX(lease_until) FROM runs WHERE state = 'running' GROUP BY owner"
    )
    for other, lease_until in held:
        if other == owner:
            _free(now, owner, holding, connection)
        elif abandoned(other, lease_until, connection):
            _free(now, other, (), connection, dead=True)


def _free(
    now: float, owner: str, but: Sequence[str], connection: Connection, *, dead: bool = False
) -> None:
    rows = connection.query(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE owner = ? AND state = 'running' "
        "ORDER BY id" + connection.lock,
        (owner,),
    )
    for row in map(run_of, rows):
        if row.id in but:
            continue
        found = deaths.died(now, row, connection) if dead else deaths.Verdict(RunState.READY)
        endings.put_down(now, row, found.state, connection, wake_at=found.wake_at, why=found.why)


def renew(owner: str, lease_s: float, connection: Connection) -> None:
    """Keep what `owner` holds for another `lease_s`."""
    connection.query(
        "UPDATE runs SET lease_until = ? WHERE owner = ? AND state = 'running'",
        (connection.now() + lease_s, owner),
    )


def release(now: float, owner: str, connection: Connection) -> None:
    """Free all that `owner` holds."""
    _free(now, owner, (), connection)


def cancelled_among(runs: Sequence[str], connection: Connection) -> set[str]:
    """Those of `runs` that somebody cancels."""
    rows = connection.query(
        f"SELECT id FROM runs WHERE cancelling = 1 AND id IN ({marks(len(runs))})", tuple(runs)
    )
    return {run for (run,) in rows}
