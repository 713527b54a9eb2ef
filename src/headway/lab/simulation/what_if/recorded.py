"""The newest traffic in a gateway's request log, and what was left out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.request_log import UNCOUNTED, answered
from headway.lab.simulation.recent import Recent, recent_traffic
from headway.store.request_log import newest
from headway.store.request_record import RequestRecord

MOST_ROWS = 10_000
"""The newest rows of the log, which are read."""


@dataclass(frozen=True)
class Log:
    """The newest part of a gateway's request log, and what it has now.

    Args:
        path: the SQLite file.
        now_unix_s: what is later was written before the clock was set back.
        window_s: how far back traffic goes.
        unfinished: requests that wait or run.
        slots: of the gateway's backends, by name.
    """

    path: Path
    now_unix_s: float
    window_s: float
    unfinished: Sequence[RequestRecord]
    slots: dict[str, int]


@dataclass(frozen=True)
class Recorded:
    """What a log holds."""

    log: Log
    recent: Recent
    records: Sequence[RequestRecord]
    """All that were read."""
    notes: Sequence[str]
    """What is to be known of the traffic, in sentences."""


def recorded(log: Log) -> Recorded:
    """Read the newest traffic.

    Raises:
        SimulationError: the log has too little.
    """
    left_out = Counter[str]()
    last = newest(log.path)
    records = answered(log.path, max(0, last - MOST_ROWS), left_out)
    records = [one for one in records if one.arrival_unix_s <= log.now_unix_s]
    if not records:
        raise SimulationError(
            "all requests in the log came later than now: the clock was set back; newer requests "
            "will count"
        )
    recent = recent_traffic(records, log.unfinished, log.window_s, log.path.name)
    count, ended = int(recent.scored.sum()), records[-1].arrival_unix_s
    began = max(records[0].arrival_unix_s, ended - log.window_s)
    notes = [f"{count:,} requests between {_moment(began)} and {_moment(ended)} UTC."]
    if last > MOST_ROWS and records[0].arrival_unix_s > ended - log.window_s:
        notes.append(f"More are not read: the newest {MOST_ROWS:,} rows of the log.")
    if log.unfinished:
        notes.append(
            f"{len(log.unfinished):,} of them are not finished; they count with their predicted "
            "lengths."
        )
    if uncounted := left_out.pop(UNCOUNTED, 0):
        notes.append(
            f"Left out of the rows that were read: {uncounted:,} answers whose backend counted no "
            "tokens."
        )
    if others := left_out.total():
        named = ", ".join(f"{count:,} {name}" for name, count in left_out.most_common())
        notes.append(f"Left out, too: {others:,} requests without a whole answer ({named}).")
    return Recorded(log, recent, records, notes)


def _moment(unix_s: float) -> str:
    at = datetime.fromtimestamp(unix_s, UTC)
    return f"{at.day} {at:%b %H:%M}"
