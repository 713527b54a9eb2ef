"""Mooncake's traces as CSV: arrival_s, prompt_tokens, output_tokens and hash_ids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headway.lab.simulation.importers.recorded import recorded
from headway.lab.simulation.importers.rows import columns_of
from headway.lab.simulation.numbers import whole
from headway.lab.simulation.trace import Trace


def load(path: Path) -> Trace:
    """Requests without output are left out. Raises SimulationError."""
    readers: dict[str, Callable[[str], Any]] = {
        "arrival_s": float,
        "prompt_tokens": whole,
        "output_tokens": whole,
        "hash_ids": lambda cell: tuple(map(whole, cell.split())),
    }
    at_s, prompts, outputs, hashes = columns_of(path, readers).values()
    return recorded(path.name, at_s, prompts, outputs, prefix_hashes=hashes)
