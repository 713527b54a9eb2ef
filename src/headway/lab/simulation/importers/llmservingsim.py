"""LLMServingSim's workloads, and the requests that its benchmarks log of vLLM, as JSON lines."""

from __future__ import annotations

from pathlib import Path

import msgspec

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.recorded import recorded
from headway.lab.simulation.importers.rows import json_lines
from headway.lab.simulation.trace import Trace

KEYS = {"input_toks", "output_toks"}


class _Line(msgspec.Struct):
    input_toks: int
    output_toks: int
    arrival_time_ns: int | None = None
    """Of a workload."""
    arrival_time: float | None = None
    """Of a log: seconds since 1970."""
    request_id: str = ""


def load(path: Path) -> Trace:
    """Requests without output are left out. Raises SimulationError."""
    lines = list(json_lines(path, _Line))
    return recorded(
        path.name,
        [_at_s(path, row, line) for row, line in enumerate(lines, start=1)],
        [line.input_toks for line in lines],
        [line.output_toks for line in lines],
        ids=[line.request_id for line in lines],
    )


def _at_s(path: Path, row: int, line: _Line) -> float:
    if line.arrival_time_ns is not None:
        return line.arrival_time_ns * 1e-9
    if line.arrival_time is not None:
        return line.arrival_time
    raise SimulationError(
        f"{path}, row {row}: there is neither arrival_time_ns nor arrival_time; add it, or leave "
        f"the row out"
    )
