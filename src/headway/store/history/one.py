"""One request of the log, with its life."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import msgspec

from headway.store.history.ahead import Ahead, ahead
from headway.store.history.life import Life, decoded
from headway.store.request_record import FIELDS, RequestRecord

SHOWN = [name for name in FIELDS if name != "features"]


class One(NamedTuple):
    """A request."""

    record: RequestRecord
    """Without the predictor's features."""
    life: Life | None
    ahead: Ahead | None
    """Who went before it; None: it did not wait."""


def one(database: sqlite3.Connection, request_id: str, tenant: str | None) -> One | None:
    """The request with that id; the newest, should there be several.

    Args:
        database: the log.
        request_id: its id.
        tenant: whose it has to be; None: anybody's.

    Raises:
        msgspec.ValidationError: its row is damaged.
    """
    condition, values = "", [request_id]
    if tenant is not None:
        condition, values = " AND tenant = ?", [request_id, tenant]
    row = database.execute(
        f"SELECT {', '.join(SHOWN)}, life FROM requests WHERE id = ?{condition} "
        "ORDER BY number DESC LIMIT 1",
        values,
    ).fetchone()
    if row is None:
        return None
    *fields, life = row
    record = msgspec.convert(dict(zip(SHOWN, fields, strict=True)), RequestRecord)
    return One(record, decoded(life), ahead(database, record))
