"""BurstGPT: Timestamp, Model, Request tokens, Response tokens, … (Wang et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headway.lab.simulation.importers.recorded import recorded
from headway.lab.simulation.importers.rows import columns_of
from headway.lab.simulation.numbers import whole
from headway.lab.simulation.trace import Trace

HEADER = {"Timestamp", "Request tokens", "Response tokens"}


def load(path: Path, unit_s: float) -> Trace:
    """Failed requests, which have no response, are left out. Raises SimulationError."""
    readers: dict[str, Callable[[str], Any]] = {
        "Timestamp": lambda cell: float(cell) * unit_s,
        "Request tokens": whole,
        "Response tokens": whole,
    }
    return recorded(path.name, *columns_of(path, readers).values())
