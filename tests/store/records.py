"""Rows of a request log for tests, and what was written of them."""

from __future__ import annotations

import time
from pathlib import Path

from headway.store.request_log import read
from headway.store.request_record import RequestRecord


def record(number: int, **changes: object) -> RequestRecord:
    values: dict[str, object] = {
        "id": f"r{number}",
        "arrival_unix_s": 1_700_000_000.0 + number,
        "tier": "standard",
        "outcome": "finished",
        "status": 200,
    }
    return RequestRecord(**(values | changes))  # type: ignore[arg-type]


def ids(path: Path) -> list[str]:
    return [one.id for _, one in read(path)]


def until(condition, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
