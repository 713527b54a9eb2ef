"""Traces in the formats that others publish."""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec

from headway.lab.simulation import parquet
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers import (
    azure,
    burstgpt,
    mooncake,
    request_log,
    servegen,
    sessions,
)
from headway.lab.simulation.local_copies import located
from headway.lab.simulation.trace import Trace
from headway.lab.simulation.trace_file import COLUMNS, REQUIRED, opened, read_trace

FORMATS = {
    "azure": azure.load,
    "burstgpt": burstgpt.load,
    "mooncake": mooncake.load,
    "sessions": sessions.load,
    "servegen": servegen.load,
    "log": request_log.load,
}
"""By name; each makes a trace of a file or, for servegen, of a folder."""


def load_trace(path: Path, *, kind: str = "", mend: bool = False, seed: int = 0) -> Trace:
    """Read a trace in any of the known formats.

    Args:
        path: the file or folder.
        kind: one of FORMATS; empty: detect it.
        mend: see `read_trace`.
        seed: of requests that are drawn from statistics.

    Raises:
        SimulationError: it is in none of them, or cannot be used.
    """
    path = located(path)
    if kind and kind not in FORMATS:
        raise SimulationError(f"no format {kind!r}; there are {', '.join(FORMATS)}")
    kind = kind or _looks_like(path)
    if kind == "servegen":
        return servegen.load(path, seed)
    return FORMATS[kind](path) if kind else read_trace(path, mend=mend)


def load_traces(path: Path, seeds: int) -> list[Trace]:
    """One trace per seed if requests are drawn from statistics, else the recorded one.

    Raises:
        SimulationError: as `load_trace`.
    """
    drawn = _looks_like(located(path)) == "servegen"
    return [load_trace(path, seed=seed) for seed in range(seeds if drawn else 1)]


def _looks_like(path: Path) -> str:
    if path.is_dir():
        return "servegen"
    if path.suffix in (".db", ".sqlite"):
        return "log"
    if path.suffix == parquet.SUFFIX:
        return ""
    with opened(path) as file:
        first = file.readline().strip()
        is_json = first.startswith("{")
        header = set() if is_json else set(next(csv.reader([first]), []))
    if is_json:
        try:
            keys = set(msgspec.json.decode(first))
        except msgspec.DecodeError as error:
            raise SimulationError(f"{path}, row 1: {error}") from None
        return "sessions" if "steps" in keys else "mooncake"
    if header >= azure.HEADER:
        return "azure"
    if header >= burstgpt.HEADER:
        return "burstgpt"
    if "hash_ids" in header and header & set(COLUMNS) == set(REQUIRED):
        return "mooncake"
    return ""
