"""Splitwise's request traces: arrival_timestamp, prompt_size, token_size, … (Patel et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headway.lab.simulation.importers.recorded import recorded
from headway.lab.simulation.importers.rows import columns_of
from headway.lab.simulation.numbers import whole
from headway.lab.simulation.trace import Trace

HEADER = {"request_id", "arrival_timestamp", "prompt_size", "token_size"}


def load(path: Path, unit_s: float) -> Trace:
    """Requests without generated tokens are left out. Raises SimulationError."""
    readers: dict[str, Callable[[str], Any]] = {
        "arrival_timestamp": lambda cell: float(cell) * unit_s,
        "prompt_size": whole,
        "token_size": whole,
        "request_id": str,
    }
    at_s, prompts, outputs, ids = columns_of(path, readers).values()
    return recorded(path.name, at_s, prompts, outputs, ids=ids)
