"""Mooncake's traces: JSON lines with `hash_ids`, or the same as CSV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from headway.lab.simulation.importers.rows import columns_of, in_order, json_lines
from headway.lab.simulation.trace import Trace


class _Line(msgspec.Struct):
    timestamp: float
    """Milliseconds."""
    input_length: int
    output_length: int
    hash_ids: tuple[int, ...] = ()


def load(path: Path) -> Trace:
    """Requests without output are left out. Raises SimulationError."""
    lines = _csv(path) if ".csv" in path.suffixes else list(json_lines(path, _Line))
    lines = [line for line in lines if line.output_length >= 1]
    lines = [lines[number] for number in in_order([line.timestamp for line in lines])]
    times = np.array([line.timestamp for line in lines]) / 1000.0
    return Trace(
        path.name,
        times - times[0] if len(times) else times,
        np.array([max(1, line.input_length) for line in lines], int),
        np.array([line.output_length for line in lines], int),
        prefix_hashes=[line.hash_ids for line in lines],
    )


def _csv(path: Path) -> list[_Line]:
    readers: dict[str, Callable[[str], Any]] = {
        "arrival_s": lambda cell: float(cell) * 1000.0,
        "prompt_tokens": int,
        "output_tokens": int,
        "hash_ids": lambda cell: tuple(map(int, cell.split())),
    }
    found = columns_of(path, readers)
    return [_Line(*cells) for cells in zip(*found.values(), strict=True)]
