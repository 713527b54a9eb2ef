"""Rows of CSV and JSONL files, with errors that name them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.trace_file import opened

Value = TypeVar("Value")


def columns_of(path: Path, columns: dict[str, Callable[[str], Value]]) -> dict[str, list[Value]]:
    """The columns asked for, each cell read by its function.

    Raises:
        SimulationError: a column is missing, or a cell cannot be read.
    """
    found: dict[str, list[Value]] = {name: [] for name in columns}
    with opened(path) as file:
        rows = csv.DictReader(file)
        missing = [name for name in columns if name not in (rows.fieldnames or ())]
        if missing:
            raise SimulationError(
                f"{path} has no column {missing[0]!r}; it needs {', '.join(columns)}"
            )
        for number, row in enumerate(rows, start=1):
            for name, read in columns.items():
                cell = row[name]
                if cell is None:
                    raise SimulationError(
                        f"{path}, row {number}: there is no {name}, as it has fewer values than "
                        f"there are columns; add what is missing, or leave the row out"
                    )
                try:
                    found[name].append(read(cell))
                except ValueError:
                    raise SimulationError(
                        f"{path}, row {number}: {name} {cell!r} cannot be read; correct it, or "
                        f"leave the row out"
                    ) from None
    return found


def json_lines(path: Path, kind: type[Value]) -> Iterator[Value]:
    """The lines of a JSONL file, each of which is a `kind`.

    Raises:
        SimulationError: one is not; the message names it.
    """
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield msgspec.json.decode(line, type=kind)
            except (msgspec.DecodeError, msgspec.ValidationError) as error:
                raise SimulationError(f"{path}, row {number}: {error}") from None


def in_order(times: Sequence[float]) -> list[int]:
    """Numbers of the rows by their time; equal times as they stand."""
    return sorted(range(len(times)), key=times.__getitem__)
