"""Traces that are CSV with a time and the numbers of tokens in each row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headway.lab.simulation.importers.recorded import recorded
from headway.lab.simulation.importers.rows import columns_of
from headway.lab.simulation.numbers import whole
from headway.lab.simulation.trace import Trace


def token_table(
    path: Path,
    time: str,
    read_time: Callable[[str], float],
    prompt_tokens: str,
    output_tokens: str,
    ids: str = "",
) -> Trace:
    """The requests in the rows; those without output tokens are left out.

    Args:
        path: the file.
        time: column of the arrivals.
        read_time: seconds in a cell of it. Raises ValueError.
        prompt_tokens, output_tokens: columns of whole numbers.
        ids: column of their ids; empty: there is none.

    Raises:
        SimulationError: a column is missing, or a cell cannot be read.
    """
    readers: dict[str, Callable[[str], Any]] = {
        time: read_time,
        prompt_tokens: whole,
        output_tokens: whole,
    }
    if ids:
        readers[ids] = str
    at_s, prompts, outputs, *others = columns_of(path, readers).values()
    return recorded(path.name, at_s, prompts, outputs, ids=others[0] if others else ())


def in_unit(unit_s: float) -> Callable[[str], float]:
    """Reads times that are bare numbers, of `unit_s` seconds each."""
    return lambda cell: float(cell) * unit_s
