"""Traces in the formats that others publish."""

from __future__ import annotations

from pathlib import Path

import msgspec

from headway.simulation.errors import SimulationError
from headway.simulation.importers import azure, burstgpt, mooncake, request_log, servegen, sessions
from headway.simulation.trace import Trace
from headway.simulation.trace_file import opened, read_trace

FORMATS = {
    "azure": azure.load,
    "burstgpt": burstgpt.load,
    "mooncake": mooncake.load,
    "sessions": sessions.load,
    "servegen": servegen.load,
    "log": request_log.load,
}
"""By name; each makes a trace of a file or, for servegen, of a folder."""


def load_trace(path: Path, *, kind: str = "", mend: bool = False) -> Trace:
    """Read a trace in whichever of the known formats it is.

    Args:
        path: the file or folder.
        kind: one of FORMATS; empty: as it looks.
        mend: see `read_trace`.

    Raises:
        SimulationError: it is in none of them, or cannot be used.
    """
    if not path.exists():
        raise SimulationError(f"there is no trace {path}")
    if kind and kind not in FORMATS:
        raise SimulationError(f"no format {kind!r}; there are {', '.join(FORMATS)}")
    kind = kind or _looks_like(path)
    return FORMATS[kind](path) if kind else read_trace(path, mend=mend)


def _looks_like(path: Path) -> str:
    if path.is_dir():
        return "servegen"
    if path.suffix in (".db", ".sqlite"):
        return "log"
    with opened(path) as file:
        first = file.readline().strip()
    if first.startswith("{"):
        try:
            keys = set(msgspec.json.decode(first))
        except msgspec.DecodeError as error:
            raise SimulationError(f"{path}, row 1: {error}") from None
        return "sessions" if "steps" in keys else "mooncake"
    header = set(first.split(","))
    if header >= azure.HEADER:
        return "azure"
    if header >= burstgpt.HEADER:
        return "burstgpt"
    if {"arrival_s", "hash_ids"} <= header:
        return "mooncake"
    return ""
