"""Which process runs which batch, and until when."""

from __future__ import annotations

from collections.abc import Collection

from headway.batches.batch import OVER, Batch
from headway.batches.schema import BATCH_COLUMNS, Held, batch_of, values_of
from headway.store.leases import LEASE_S, abandoned
from headway.store.transactions import Connection, marks


class LostBatch(Exception):
    """Another process has claimed the batch: this one must stop working on it."""


def add(batch: Batch, owner: str, connection: Connection) -> Held:
    """Add a batch, which `owner` holds."""
    values = values_of(batch)
    connection.query(
        f"INSERT INTO batches ({BATCH_COLUMNS}, holder, fence, lease_until) "
        f"VALUES ({marks(len(values))}, ?, 1, ?) ON CONFLICT DO NOTHING",  # added, answer lost
        (*values, owner, connection.now() + LEASE_S),
    )
    return Held(batch, 1)


def claim(owner: str, holding: Collection[str], connection: Connection) -> list[Held]:
    """Claim the batches that nobody holds, or whose holder died.

    Those that `owner` has besides `holding`, which it works on, are among them: the answer to a
    claim may have been lost. One that is being written at this moment is left for the next time.
    """
    rows = connection.query(
        f"SELECT id, holder, fence, lease_until FROM batches WHERE status NOT IN "
        f"({marks(len(OVER))}) ORDER BY number",
        OVER,
    )
    claimed = []
    for id, holder, fence, lease_until in rows:
        if id in holding:  # a claim that was lost meanwhile ends first
            continue
        if holder not in (None, owner) and not abandoned(holder, lease_until, connection):
            continue
        if not connection.query(
            f"SELECT id FROM batches WHERE id = ? AND fence = ?{connection.skip_locked}",
            (id, fence),
        ):
            continue
        (row,) = connection.query(
            "UPDATE batches SET holder = ?, fence = fence + 1, lease_until = ? "
            f"WHERE id = ? RETURNING fence, {BATCH_COLUMNS}",
            (owner, connection.now() + LEASE_S, id),
        )
        claimed.append(Held(batch_of(row[1:]), row[0]))
    return claimed


def renew(owner: str, connection: Connection) -> None:
    """Keep what `owner` holds for another LEASE_S."""
    connection.query(
        "UPDATE batches SET lease_until = ? WHERE holder = ?", (connection.now() + LEASE_S, owner)
    )


def release(owner: str, connection: Connection) -> None:
    """Let others go on with what `owner` holds."""
    connection.query("UPDATE batches SET holder = NULL WHERE holder = ?", (owner,))


def held(claim: Held, connection: Connection) -> Batch:
    """The batch, locked, as it is now. Raises LostBatch."""
    rows = connection.query(
        f"SELECT fence, {BATCH_COLUMNS} FROM batches WHERE id = ?{connection.lock}",
        (claim.batch.id,),
    )
    if not rows or rows[0][0] != claim.fence:
        raise LostBatch(claim.batch.id)
    return batch_of(rows[0][1:])
