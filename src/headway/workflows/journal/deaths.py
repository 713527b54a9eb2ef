"""Deaths of the processes that worked on a run: one that causes them is set aside.

A run that kills its process, as by taking all memory, would be claimed and kill the next one
without end, and with each all other runs in it. So deaths between which no step of the run ended
are counted. Of the runs that were there at SUSPECT of them, a process has one at a time: whoever
did not cause them gets on, and whoever did dies alone, until MOST_DEATHS.
"""

from __future__ import annotations

from collections.abc import Sequence

from headway.store.transactions import Connection
from headway.workflows.journal.rows import RunRow

SUSPECT = 2
MOST_DEATHS = 8

TABLE = (
    "CREATE TABLE IF NOT EXISTS deaths (run TEXT PRIMARY KEY, count INTEGER NOT NULL, "
    "steps INTEGER NOT NULL)"
)
"""`steps` is how many steps had ended at the last death."""


def died(run: RunRow, connection: Connection) -> str | None:
    """The process that worked on a run is dead; return why the run is blocked, if it is now."""
    [(steps,)] = connection.query(
        "SELECT COUNT(*) FROM steps WHERE run = ? AND state IN ('finished', 'failed')", (run.id,)
    )
    known = connection.query("SELECT count, steps FROM deaths WHERE run = ?", (run.id,))
    count = known[0][0] + 1 if known and known[0][1] == steps else 1
    forget(run.id, connection)
    if count < MOST_DEATHS:
        connection.query(
            "INSERT INTO deaths (run, count, steps) VALUES (?, ?, ?)", (run.id, count, steps)
        )
        return None
    began = connection.query(
        "SELECT path FROM steps WHERE run = ? AND state = 'running' ORDER BY started_at", (run.id,)
    )
    during = f" ({', '.join(path for (path,) in began)} had begun)" if began else ""
    return (
        f"its process died {count} times and no step ended between{during}: mend what kills it, "
        f"or give it more memory; `headway runs retry {run.id}` goes on"
    )


def forget(run: str, connection: Connection) -> None:
    """Count the deaths of a run from 0 again."""
    connection.query("DELETE FROM deaths WHERE run = ?", (run,))


def suspects(connection: Connection) -> set[str]:
    """Runs that may have caused the deaths of their processes."""
    rows = connection.query("SELECT run FROM deaths WHERE count >= ?", (SUSPECT,))
    return {run for (run,) in rows}


def one_suspect(
    ready: Sequence[RunRow], suspected: set[str], holding: Sequence[str]
) -> list[RunRow]:
    """Of runs that are to be claimed, those that may be in a process that holds others."""
    free = suspected.isdisjoint(holding)
    found = []
    for run in ready:
        if run.id in suspected:
            if not free:
                continue
            free = False
        found.append(run)
    return found
