"""Columns of Parquet files, through pyarrow where that is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headway.extras import install_extra
from headway.lab.simulation.errors import SimulationError

SUFFIX = ".parquet"


def is_parquet(path: Path) -> bool:
    """Whether its name says so."""
    return path.suffix.lower() == SUFFIX


def read_columns(path: Path) -> dict[str, list[str]]:
    """All columns, their cells as CSV would have them: empty where there is no value.

    Raises:
        SimulationError: it cannot be read, or pyarrow is not there.
    """
    parquet = _pyarrow(path)
    try:
        columns = parquet.read_table(path).to_pydict()
    except (OSError, ValueError) as error:
        raise SimulationError(f"{path} cannot be read: {error}") from None
    return {name: list(map(_text, cells)) for name, cells in columns.items()}


def write_columns(columns: Mapping[str, Iterable[object]], path: Path) -> None:
    """Write cells as they are; empty ones are no values.

    Raises:
        SimulationError: pyarrow is not there.
    """
    parquet = _pyarrow(path)
    from pyarrow import table

    cells = {
        name: [None if cell == "" else cell for cell in column] for name, column in columns.items()
    }
    parquet.write_table(table(cells), path)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(map(_text, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # whole numbers beside missing ones are often kept as floats
    return str(value)


def _pyarrow(path: Path) -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise SimulationError(
            f"{path} is Parquet, for which pyarrow is missing; "
            f"`{install_extra('parquet')}`, or take CSV"
        ) from None
    return parquet
