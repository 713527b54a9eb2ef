"""Rows of CSV and JSON files, with errors that name them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.trace_file import opened

Value = TypeVar("Value")
Read = TypeVar("Read")
MOST_SHOWN = 80
"""Characters of a cell in an error."""


def columns_of(path: Path, columns: dict[str, Callable[[str], Value]]) -> dict[str, list[Value]]:
    """The columns asked for, each cell read by its function.

    Raises:
        SimulationError: a column is missing or there twice, or a cell cannot be read.
    """
    found: dict[str, list[Value]] = {name: [] for name in columns}
    with opened(path) as file:
        rows = csv.DictReader(file)
        header = Counter(rows.fieldnames or ())
        for name in columns:
            if not header[name]:
                raise SimulationError(
                    f"{path} has no column {name!r}; it needs {', '.join(columns)}"
                )
            if header[name] > 1:
                raise SimulationError(
                    f"{path} has {header[name]} columns {name}; leave all but one out"
                )
        for number, row in enumerate(rows, start=1):
            if not any(cell.strip() for cell in row.values() if isinstance(cell, str)):
                continue  # empty cells, as spreadsheets leave at the end
            for name, read in columns.items():
                cell = row[name]
                if cell is None:
                    raise SimulationError(
                        f"{path}, row {number}: there is no {name}, as it has fewer values than "
                        f"there are columns; add what is missing, or leave the row out"
                    )
                found[name].append(read_cell(path, number, name, cell, read))
    return found


def read_cell(
    path: Path, number: int, name: str, cell: Value, read: Callable[[Value], Read]
) -> Read:
    """What `read` makes of a cell.

    Raises:
        SimulationError: it raised ValueError.
    """
    try:
        return read(cell)
    except ValueError:
        raise SimulationError(
            f"{path}, row {number}: {name} {str(cell)[:MOST_SHOWN]!r} cannot be read; correct it, "
            f"or leave the row out"
        ) from None


def json_lines(path: Path, kind: type[Value]) -> Iterator[Value]:
    """The rows of a JSON file, each of which is a `kind`: its lines, or the items of its one list,
    or its one object. Numbers may be in quotes, and whole ones end in `.0`.

    Raises:
        SimulationError: one is not; the message names it.
    """
    for number, row in _rows(path):
        try:
            yield msgspec.convert(row, kind, strict=False)
        except msgspec.ValidationError as error:
            raise SimulationError(f"{path}, row {number}: {error}") from None


def first_row(path: Path) -> object:
    """The first row of a JSON file; None where there is none. Raises SimulationError."""
    return next((row for _, row in _rows(path)), None)


def _rows(path: Path) -> Iterator[tuple[int, object]]:
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if not (text := line.strip()):
                continue
            try:
                row = _decoded(text)
            except ValueError as error:
                if number > 1 or text[0] not in "[{":
                    raise SimulationError(f"{path}, row {number}: {error}") from None
                yield from _items(path, line + file.read(), error)
                return
            if number == 1 and isinstance(row, list):
                yield from enumerate(row, start=1)
            else:
                yield number, row


def _items(path: Path, text: str, of_line: ValueError) -> Iterator[tuple[int, object]]:
    """The items of a file that is one JSON value on several lines."""
    try:
        value = _decoded(text)
    except ValueError:
        raise SimulationError(f"{path}, row 1: {of_line}") from None
    yield from enumerate(value if isinstance(value, list) else [value], start=1)


def _decoded(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        pass
    return json.loads(text)  # it takes NaN and Infinity, which benchmarks write


def in_order(times: Sequence[float]) -> list[int]:
    """Numbers of the rows by their time; equal times as they stand."""
    return sorted(range(len(times)), key=times.__getitem__)
