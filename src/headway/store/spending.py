"""What was spent since the month began, from the request log."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from headway.store.cost_days import COST, TOKENS
from headway.store.database import open_to_read

SPENT = f"""
SELECT key, tenant, batch != '', arrival_unix_s >= ?,
    sum({TOKENS}),
    coalesce(sum({COST}), 0)
FROM requests WHERE arrival_unix_s >= ? AND arrival_unix_s < ? GROUP BY 1, 2, 3, 4
"""


class Spent(NamedTuple):
    """What requests that are alike in this spent."""

    key: str
    tenant: str
    of_batch: bool
    """They were lines of batches."""
    today: bool
    """They came today; else earlier in the month."""
    tokens: float
    money: float


def spent_since(
    path: Path, day_began_s: float, month_began_s: float, until_s: float
) -> list[Spent]:
    """What was spent by requests that came before `until_s`, by key and tenant.

    Raises:
        sqlite3.Error: the log cannot be read.
    """
    with closing(open_to_read(path)) as database:
        rows = database.execute(SPENT, (day_began_s, month_began_s, until_s))
        return [
            Spent(key, tenant, bool(of_batch), bool(today), tokens, money)
            for key, tenant, of_batch, today, tokens, money in rows
        ]
