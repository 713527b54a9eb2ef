"""Deaths of the processes that worked on a run: one that causes them is set aside.

A run that kills its process, as by taking all memory, would be claimed and kill the next one
without end, and with each all other runs in it. So deaths between which no step of the run ended
are counted. Of the runs that were there at SUSPECT of them, a process has one at a time: whoever
did not cause them gets on, and whoever did dies alone. It waits before it is claimed again, longer
each time, and is blocked after LEAST_DEATHS over PATIENCE_S: who kills processes by hand, or is on
a slow machine, has that time for a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headway.store.transactions import Connection
from headway.workflows.journal.rows import RunRow, RunState

SUSPECT = 2
LEAST_DEATHS = 5
PATIENCE_S = 600.0
LONGEST_WAIT_S = 60.0

TABLE = (
    "CREATE TABLE IF NOT EXISTS deaths (run TEXT PRIMARY KEY, count INTEGER NOT NULL, "
    "steps INTEGER NOT NULL, since DOUBLE PRECISION NOT NULL)"
)
"""`steps` is how many steps had ended at the last death; `since` is when the first of them was."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a run whose process died."""

    state: RunState
    wake_at: float | None = None
    why: str | None = None


def died(now: float, run: RunRow, connection: Connection) -> Verdict:
    """The process that worked on a run is dead."""
    [(steps,)] = connection.query(
        "SELECT COUNT(*) FROM steps WHERE run = ? AND state IN ('finished', 'failed')", (run.id,)
    )
    known = connection.query("SELECT count, steps, since FROM deaths WHERE run = ?", (run.id,))
    count, since = 1, now
    if known and known[0][1] == steps:
        count, since = known[0][0] + 1, known[0][2]
    forget(run.id, connection)
    if count < LEAST_DEATHS or now - since < PATIENCE_S:
        connection.query(
            "INSERT INTO deaths (run, count, steps, since) VALUES (?, ?, ?, ?)",
            (run.id, count, steps, since),
        )
        if count <= SUSPECT:
            return Verdict(RunState.READY)
        wait_s = min(LONGEST_WAIT_S, 2.0 ** (count - SUSPECT - 1))
        return Verdict(RunState.WAITING, wake_at=now + wait_s)
    began = connection.query(
        "SELECT path FROM steps WHERE run = ? AND state = 'running' ORDER BY started_at", (run.id,)
    )
    during = f" ({', '.join(path for (path,) in began)} had begun)" if began else ""
    return Verdict(
        RunState.BLOCKED,
        why=f"its process died {count} times and no step ended between{during}: mend what kills "
        f"it, or give it more memory; `headway runs retry {run.id}` goes on",
    )


def forget(run: str, connection: Connection) -> None:
    """Count the deaths of a run from 0 again."""
    connection.query("DELETE FROM deaths WHERE run = ?", (run,))


def suspects(connection: Connection) -> set[str]:
    """Runs that may have caused the deaths of their processes: no step of theirs ended since."""
    rows = connection.query(
        "SELECT run FROM deaths WHERE count >= ? AND steps = (SELECT COUNT(*) FROM steps WHERE "
        "steps.run = deaths.run AND state IN ('finished', 'failed'))",
        (SUSPECT,),
    )
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
