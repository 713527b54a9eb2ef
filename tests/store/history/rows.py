"""Logs to look back at: rows as a gateway writes them, without its thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from headway.store import cost_days
from headway.store.database import META
from headway.store.history import rollups
from headway.store.request_log import INSERT, ROW, RequestLog
from headway.store.request_record import SCHEMA, RequestRecord

NOW_S = 1_700_000_000.0
"""14 November 2023, 22:13:20 UTC."""


def record(number: int, **changes: object) -> RequestRecord:
    """The record of a request that was answered; a second after the one before."""
    values: dict[str, object] = {
        "id": f"req-{number}",
        "arrival_unix_s": NOW_S + number,
        "tier": "standard",
        "tenant": "acme",
        "model": "smol",
        "backend": "embedded",
        "policy": "srpt",
        "prompt_tokens": 10,
        "output_tokens": 20,
        "predicted_tokens": 25.0,
        "queue_ms": 5.0,
        "ttft_ms": 50.0,
        "total_ms": 500.0,
        "outcome": "finished",
        "status": 200,
    }
    return RequestRecord(**(values | changes))  # type: ignore[arg-type]


def new_log(path: Path | None = None) -> sqlite3.Connection:
    """A log without rows, to be written to by the test; without a path, in memory."""
    if path is not None:
        RequestLog(path).close()
        return sqlite3.connect(path)
    database = sqlite3.connect(":memory:")
    database.executescript(META + SCHEMA + rollups.SCHEMA + cost_days.SCHEMA)
    return database


def add(database: sqlite3.Connection, records: Iterable[RequestRecord]) -> None:
    """Write rows as they are."""
    with database:
        for one in records:
            values = list(msgspec.structs.astuple(one))
            values = [
                msgspec.json.encode(value).decode() if isinstance(value, tuple) else value
                for value in values
            ]
            database.execute(INSERT + ROW, [*values, None])


def fill(log: RequestLog, records: Iterable[RequestRecord], now_s: float) -> None:
    """Write rows beside a gateway; the rollups have them."""
    with closing(sqlite3.connect(log.path)) as database:
        add(database, records)
        fold(database, now_s)


def fold(database: sqlite3.Connection, now_s: float = NOW_S) -> None:
    """Bring the rollups up to date."""
    while rollups.advance(database, now_s) | cost_days.advance(database):
        pass
