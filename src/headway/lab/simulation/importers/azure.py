"""Azure LLM inference traces of 2023 and 2024: TIMESTAMP, ContextTokens, GeneratedTokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headway.lab.simulation.importers.dates import unix_s
from headway.lab.simulation.importers.recorded import recorded
from headway.lab.simulation.importers.rows import columns_of
from headway.lab.simulation.numbers import whole
from headway.lab.simulation.trace import Trace

HEADER = {"TIMESTAMP", "ContextTokens", "GeneratedTokens"}


def load(path: Path) -> Trace:
    """Requests without output are left out. Raises SimulationError."""
    readers: dict[str, Callable[[str], Any]] = {
        "TIMESTAMP": unix_s,
        "ContextTokens": whole,
        "GeneratedTokens": whole,
    }
    return recorded(path.name, *columns_of(path, readers).values())
