"""Which worker holds which run, and until when."""

from __future__ import annotations

from collections.abc import Sequence

from headway.store.owner import died, lives
from headway.store.transactions import Connection
from headway.workflows.journal.rows import RunRow
from headway.workflows.journal.schema import RUN_COLUMNS, marks, run_of

ORDER = "CASE WHEN deadline_at IS NULL THEN 1 ELSE 0 END, deadline_at, created_at, id"


def claim(
    now: float,
    owner: str,
    workflows: Sequence[str] | None,
    most: int,
    lease_s: float,
    connection: Connection,
) -> list[RunRow]:
    """Claim up to `most` runs that may run now; those of owners that died are among them."""
    _free_abandoned(now, connection)
    named = "" if workflows is None else f" AND workflow IN ({marks(len(workflows))})"
    rows = connection.query(
        "SELECT id FROM runs WHERE (state = 'ready' OR (state = 'waiting' AND wake_at <= ?))"
        f"{named} ORDER BY {ORDER} LIMIT ?" + connection.skip_locked,
        (now, *(workflows or ()), most),
    )
    claimed = []
    for (run,) in rows:
        connection.query(
            "UPDATE runs SET state = 'running', owner = ?, fence = fence + 1, lease_until = ?, "
            "wake_at = NULL, started_at = COALESCE(started_at, ?) WHERE id = ?",
            (owner, now + lease_s, now, run),
        )
        claimed += connection.query(f"SELECT {RUN_COLUMNS} FROM runs WHERE id = ?", (run,))
    return [run_of(row) for row in claimed]


def _free_abandoned(now: float, connection: Connection) -> None:
    """Make the runs of dead owners ready."""
    held = connection.query(
        "SELECT owner, MAX(lease_until) FROM runs WHERE state = 'running' GROUP BY owner"
    )
    for owner, lease_until in held:
        if died(owner) or (lease_until < now and not lives(owner)):
            connection.query(
                "UPDATE runs SET state = 'ready', owner = NULL, lease_until = NULL, "
                "fence = fence + 1 WHERE owner = ? AND state = 'running'",
                (owner,),
            )


def renew(now: float, owner: str, lease_s: float, connection: Connection) -> None:
    """Keep what `owner` holds for another `lease_s`."""
    connection.query(
        "UPDATE runs SET lease_until = ? WHERE owner = ? AND state = 'running'",
        (now + lease_s, owner),
    )


def next_due(connection: Connection) -> float | None:
    """When the first wait of a run that is put down is due."""
    due: float | None = connection.query("SELECT MIN(wake_at) FROM runs WHERE state = 'waiting'")[
        0
    ][0]
    return due


def cancelled_among(runs: Sequence[str], connection: Connection) -> set[str]:
    """Those of `runs` that somebody cancels."""
    rows = connection.query(
        f"SELECT id FROM runs WHERE cancelling = 1 AND id IN ({marks(len(runs))})", tuple(runs)
    )
    return {run for (run,) in rows}
