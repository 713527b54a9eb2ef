"""Which process runs which batch, and until when."""

from __future__ import annotations

from headway.batches.batch import Status
from headway.batches.schema import BATCH_COLUMNS, Held, batch_of
from headway.store.leases import LEASE_S, abandoned
from headway.store.transactions import Connection

OVER = tuple(str(status) for status in Status if status.over)


def claim(now: float, owner: str, connection: Connection) -> list[Held]:
    """Claim the batches that nobody holds, or whose holder died."""
    marks = ", ".join("?" * len(OVER))
    rows = connection.query(
        f"SELECT id, holder, lease_until FROM batches WHERE status NOT IN ({marks}) "
        "ORDER BY number",
        OVER,
    )
    claimed = []
    for id, holder, lease_until in rows:
        if holder is not None and (holder == owner or not abandoned(holder, lease_until, now)):
            continue
        (row,) = connection.query(
            "UPDATE batches SET holder = ?, fence = fence + 1, lease_until = ? "
            f"WHERE id = ? RETURNING fence, {BATCH_COLUMNS}",
            (owner, now + LEASE_S, id),
        )
        claimed.append(Held(batch_of(row[1:]), row[0]))
    return claimed


def renew(now: float, owner: str, connection: Connection) -> None:
    """Keep what `owner` holds for another LEASE_S."""
    connection.query("UPDATE batches SET lease_until = ? WHERE holder = ?", (now + LEASE_S, owner))
