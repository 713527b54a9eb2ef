"""Who went before a request while it waited, as the log knows it afterwards."""

from __future__ import annotations

import sqlite3

import msgspec

from headway.core.request import Tier
from headway.store.request_record import RequestRecord

LOOK_BACK_S = 3600.0
"""Requests that came longer before it are not looked at."""
MOST_ROWS = 20_000
"""Nor are more rows than these, the newest first."""

_QUERY = """
SELECT tier, arrival_unix_s < :came_s,
    SUM(began_s >= :came_s AND began_s < :until_s), SUM(began_s < :came_s AND ended_s > :came_s)
FROM (
    SELECT id, tier, model, backend, arrival_unix_s,
        arrival_unix_s + queue_ms / 1000.0 AS began_s,
        arrival_unix_s + total_ms / 1000.0 AS ended_s
    FROM requests WHERE arrival_unix_s >= :since_s AND arrival_unix_s < :until_s
    ORDER BY arrival_unix_s DESC LIMIT :most
)
WHERE id != :id AND began_s IS NOT NULL
    AND (model = :model OR (backend = :backend AND backend != ''))
GROUP BY 1, 2
"""


class Ahead(msgspec.Struct, frozen=True, kw_only=True):
    """Requests for the same model or backend that ran while one waited for its first start."""

    ran: int
    """When it came."""
    higher_tiers: int
    """That began while it waited, and so do those below."""
    lower_tiers: int
    came_before: int
    """In its tier."""
    came_later: int
    """In its tier: the policy, a deadline or a fair share put them first."""
    complete: bool
    """False: there were too many to look at all."""


def ahead(database: sqlite3.Connection, record: RequestRecord) -> Ahead | None:
    """Who went before a request; None if it did not wait in an order of slots.

    Only requests that have ended count: those that still run are not in the log.

    Args:
        database: the log.
        record: the request.
    """
    waited_ms = record.total_ms if record.queue_ms is None else record.queue_ms
    if not waited_ms or not record.policy:
        return None
    try:
        tier = Tier.parse(record.tier)
    except ValueError:
        return None
    came_s = record.arrival_unix_s
    values = {
        "id": record.id,
        "model": record.model,
        "backend": record.backend,
        "came_s": came_s,
        "since_s": came_s - LOOK_BACK_S,
        "until_s": came_s + waited_ms / 1000.0,
        "most": MOST_ROWS,
    }
    counts = dict.fromkeys(("ran", "higher_tiers", "lower_tiers", "came_before", "came_later"), 0)
    for label, came_before, began, ran in database.execute(_QUERY, values):
        counts["ran"] += ran or 0
        counts[_kind(label, tier, bool(came_before))] += began or 0
    beyond = database.execute(
        "SELECT 1 FROM requests WHERE arrival_unix_s >= :since_s AND arrival_unix_s < :until_s "
        "LIMIT 1 OFFSET :most",
        values,
    ).fetchone()
    return Ahead(**counts, complete=beyond is None)


def _kind(label: str, tier: Tier, came_before: bool) -> str:
    try:
        other = Tier.parse(label)
    except ValueError:  # of a tier that later versions may have
        other = tier
    if other is not tier:
        return "higher_tiers" if other < tier else "lower_tiers"
    return "came_before" if came_before else "came_later"
