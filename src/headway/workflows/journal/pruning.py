"""Deletes what old runs did, a little at a time."""

from __future__ import annotations

from headway.store.transactions import Connection


def prune(before: float, most: int, connection: Connection) -> int:
    """Delete up to `most` runs that ended before then, with their steps; return how many.

    A run goes after the one that started it. One with a key leaves its row, without steps and
    result, so that its event starts no second run.
    """
    rows = connection.query(
        "SELECT id, key FROM runs WHERE ended_at < ? AND pruned = 0 AND (parent_run IS NULL OR "
        "NOT EXISTS (SELECT 1 FROM runs AS parents WHERE parents.id = runs.parent_run "
        "AND parents.pruned = 0)) "
        "ORDER BY ended_at LIMIT ?" + connection.skip_locked,
        (before, most),
    )
    for run, key in rows:
        connection.query("DELETE FROM steps WHERE run = ?", (run,))
        if key is None:
            connection.query("DELETE FROM runs WHERE id = ?", (run,))
        else:
            connection.query(
                "UPDATE runs SET pruned = 1, input_json = '{}', output_json = NULL, "
                "error_json = NULL WHERE id = ?",
                (run,),
            )
    return len(rows)
