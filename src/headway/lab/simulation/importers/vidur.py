"""Vidur's request traces: arrived_at, num_prefill_tokens, num_decode_tokens (Agrawal 2024)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headway.lab.simulation.importers.recorded import recorded
from headway.lab.simulation.importers.rows import columns_of
from headway.lab.simulation.numbers import whole
from headway.lab.simulation.trace import Trace

HEADER = {"arrived_at", "num_prefill_tokens", "num_decode_tokens"}


def load(path: Path, unit_s: float) -> Trace:
    """Requests without decode tokens are left out. Raises SimulationError."""
    readers: dict[str, Callable[[str], Any]] = {
        "arrived_at": lambda cell: float(cell) * unit_s,
        "num_prefill_tokens": whole,
        "num_decode_tokens": whole,
    }
    return recorded(path.name, *columns_of(path, readers).values())
