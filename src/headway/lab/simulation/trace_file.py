"""Traces as files: CSV, plain, .gz or .zst, or Parquet, one row a request."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from headway.core.request import Tier
from headway.lab.simulation import parquet
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.numbers import whole
from headway.lab.simulation.trace import Trace
from headway.text_files import TextFileError, reading, writing

REQUIRED = ("arrival_s", "prompt_tokens", "output_tokens")
NUMBERS: dict[str, tuple[type[float] | type[int], float]] = {
    "arrival_s": (float, float("nan")),
    "prompt_tokens": (int, 0),
    "output_tokens": (int, 0),
    "deadline_s": (float, float("nan")),
    "run_deadline_s": (float, float("nan")),
    "max_tokens": (int, 0),
    "gap_s": (float, 0.0),
    "shared_tokens": (int, 0),
}
"""Columns of numbers, and what an empty cell of them means."""
TEXTS = {
    "id": "ids",
    "tenant": "tenants",
    "program": "programs",
    "step": "steps",
    "prompt_id": "prompt_ids",
}
"""Columns of text, and what a trace calls them."""
OTHERS = ("tier", "prefix_hashes", "after")
COLUMNS = (*NUMBERS, *TEXTS, *OTHERS)
ALIKE = 0.85
"""Similarity (difflib's) above which a column's name counts as misspelt."""


def read_trace(path: Path, *, mend: bool = False) -> Trace:
    """Read a trace.

    Args:
        path: CSV or Parquet with the columns REQUIRED and any of COLUMNS; others are ignored.
        mend: put rows in order, and leave out those without output and those that came twice.

    Raises:
        SimulationError: it cannot be read, or a row makes no sense.
    """
    if parquet.is_parquet(path):
        found = parquet.read_columns(path)
        _check_header(path, list(found))
        return _trace(path, {name: found[name] for name in COLUMNS if name in found}, mend)
    with opened(path) as file:
        lines = csv.reader(file)
        header = next(lines, None)
        if header is None:
            raise SimulationError(
                f"{path} is empty; a trace has a line of headings, then a line a request"
            )
        _check_header(path, header)
        places = {name: header.index(name) for name in COLUMNS if name in header}
        columns: dict[str, list[str]] = {name: [] for name in places}
        taken = [(columns[name].append, place) for name, place in places.items()]
        count = 0
        for row in lines:
            if not "".join(row).strip():
                continue  # a blank line, or empty cells, as editors leave at the end
            if len(row) != len(header):
                raise SimulationError(
                    f"{path}, row {count + 1}: {len(row)} values for {len(header)} columns; leave "
                    f"cells empty where there is no value, and put quotes around commas in text"
                )
            count += 1
            for append, place in taken:
                append(row[place])
    return _trace(path, columns, mend)


def write_trace(trace: Trace, path: Path) -> None:
    """Write `trace` as `read_trace` reads it, columns that are empty left out.

    Raises:
        SimulationError: it is to be Parquet or .zst, and pyarrow is not there; or requests wait
            for several others, for which there is no column.
    """
    if any(trace.joins):
        raise SimulationError(
            f"{trace.name} has requests that wait for several others, which a trace file cannot "
            f"say; leave out `joins`, or keep the trace in Python"
        )
    columns: dict[str, Iterator[object]] = {
        name: _cells(getattr(trace, name)) for name in NUMBERS if len(getattr(trace, name))
    }
    columns |= {name: iter(getattr(trace, of)) for name, of in TEXTS.items() if getattr(trace, of)}
    if trace.tiers:
        columns["tier"] = (tier.label for tier in trace.tiers)
    if trace.prefix_hashes:
        columns["prefix_hashes"] = (" ".join(map(str, hashes)) for hashes in trace.prefix_hashes)
    if len(trace.after):
        names = trace.ids or [str(number) for number in range(1, len(trace) + 1)]
        columns.setdefault("id", iter(names))
        columns["after"] = (names[n] if n >= 0 else "" for n in trace.after.tolist())
    if parquet.is_parquet(path):
        parquet.write_columns(columns, path)
        return
    try:
        with writing(path) as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(columns)
            rows.writerows(zip(*columns.values(), strict=True))
    except TextFileError as error:
        raise SimulationError(str(error)) from None


def _check_header(path: Path, header: Sequence[str]) -> None:
    for name, times in Counter(header).items():
        if times > 1 and name in COLUMNS:
            raise SimulationError(f"{path} has {times} columns {name}; leave all but one out")
        plain = name.strip().lower().replace(" ", "_")
        if name not in COLUMNS and (meant := get_close_matches(plain, COLUMNS, n=1, cutoff=ALIKE)):
            raise SimulationError(
                f"{path} has a column {name!r}, which is none of a trace's; if it is meant to be "
                f"{meant[0]}, call it that, else give it another name"
            )
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise SimulationError(
            f"{path} has no column {missing[0]}; a trace needs {', '.join(REQUIRED)} (see "
            f"`headway trace convert --help` for other formats)"
        )


def _cells(values: np.ndarray) -> Iterator[object]:
    for value in values.tolist():
        yield "" if value != value else value


def _trace(path: Path, columns: dict[str, list[str]], mend: bool) -> Trace:
    numbers: dict[str, Any] = {
        name: _numbers(path, name, columns[name]) for name in NUMBERS if name in columns
    }
    texts: dict[str, Any] = {of: columns[name] for name, of in TEXTS.items() if name in columns}
    chosen = _order(path, numbers, columns.get("id"), mend)
    names = columns.get("id") or [str(row) for row in range(1, len(columns["arrival_s"]) + 1)]
    after = np.empty(0, np.int64)
    if "after" in columns:
        after = _after(path, columns["after"], names, chosen)
    hashes = [_hashes(path, row, cell) for row, cell in enumerate(columns.get("prefix_hashes", ()))]
    tiers = [_tier(path, row, cell) for row, cell in enumerate(columns.get("tier", ()))]
    return Trace(
        name=path.name,
        **{name: values[chosen] for name, values in numbers.items()},
        **{name: [values[n] for n in chosen] for name, values in texts.items()},  # type: ignore[arg-type]
        tiers=[tiers[n] for n in chosen] if tiers else (),
        prefix_hashes=[hashes[n] for n in chosen] if hashes else (),
        after=after,
    )


def _order(
    path: Path, numbers: dict[str, np.ndarray], ids: list[str] | None, mend: bool
) -> list[int]:
    """Which rows, in which order."""
    chosen = list(range(len(numbers["arrival_s"])))
    seen: dict[str, int] = {}
    twice = []
    for row, name in enumerate(ids or ()):
        if name and seen.setdefault(name, row) != row:
            twice.append(row)
    if mend:
        left_out = {*twice, *np.flatnonzero(numbers["output_tokens"] < 1).tolist()}
        chosen = [row for row in chosen if row not in left_out]
        chosen.sort(key=numbers["arrival_s"].__getitem__)
    elif twice:
        row = twice[0]
        raise SimulationError(
            f"{path}, row {row + 1}: id {ids[row] if ids else ''!r} is that of row "
            f"{seen[ids[row]] + 1 if ids else 0}, too; `headway trace convert --mend` leaves it out"
        )
    return chosen


def _numbers(path: Path, name: str, cells: list[str]) -> np.ndarray:
    kind, empty = NUMBERS[name]
    read: Callable[[str], float] = float if kind is float else whole
    try:
        return np.array([read(cell) if cell.strip() else empty for cell in cells], dtype=kind)
    except (ValueError, OverflowError):
        for row, cell in enumerate(cells, start=1):
            try:
                np.array([read(cell) if cell.strip() else empty], dtype=kind)
            except (ValueError, OverflowError):
                noun = "a number" if kind is float else "a whole number"
                raise SimulationError(
                    f"{path}, row {row}: {name} {cell!r} is not {noun}; correct it, or leave the "
                    f"row out"
                ) from None
        raise


def _after(path: Path, cells: list[str], names: list[str], chosen: list[int]) -> np.ndarray:
    """Which of the `chosen` rows each of them waits for; -1: none, or one that is left out."""
    known = set(names)
    place = {names[row]: number for number, row in enumerate(chosen)}
    after = np.full(len(chosen), -1)
    for number, row in enumerate(chosen):
        if cell := cells[row]:
            if cell not in known:
                raise SimulationError(
                    f"{path}, row {row + 1}: after {cell!r} is no row's id; name a row above, or "
                    f"leave the cell empty"
                )
            after[number] = place.get(cell, -1)
    return after


def _hashes(path: Path, row: int, cell: str) -> tuple[int, ...]:
    try:
        return tuple(map(whole, cell.split()))
    except ValueError:
        raise SimulationError(
            f"{path}, row {row + 1}: prefix_hashes must be whole numbers with spaces between"
        ) from None


def _tier(path: Path, row: int, cell: str) -> Tier:
    try:
        return Tier.parse(cell) if cell else Tier.STANDARD
    except ValueError as error:
        raise SimulationError(f"{path}, row {row + 1}: {error}") from None


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The text of a file, compressed or not.

    Raises:
        SimulationError: it is not there, or not readable.
    """
    try:
        with reading(path) as file:
            yield file
    except TextFileError as error:
        raise SimulationError(str(error)) from None
