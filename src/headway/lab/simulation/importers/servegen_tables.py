"""ServeGen's statistics as two tables: `rates.csv` and `token_pdfs.jsonl`, plain or compressed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.rows import columns_of, json_lines, read_cell
from headway.lab.simulation.importers.servegen_statistics import Lengths, Rate, Statistics, Window
from headway.lab.simulation.numbers import whole


class _Lengths(msgspec.Struct):
    client: int
    window_start_s: float
    input_tokens: list[tuple[float, float]]
    output_tokens: list[tuple[float, float]]


def read(folder: Path) -> Statistics:
    """The clients of a folder. Raises SimulationError."""
    readers: dict[str, Callable[[str], Any]] = {
        "client": whole,
        "t_s": float,
        "rate_rps": float,
        "iat_dist": str,
        "shape": lambda cell: float(cell or "nan"),
        "scale": lambda cell: float(cell or "nan"),
    }
    lengths: dict[int, list[Window]] = {}
    pdfs = _either(folder, "token_pdfs.jsonl")
    for number, one in enumerate(json_lines(pdfs, _Lengths), start=1):
        if not (one.input_tokens and one.output_tokens):
            continue  # no request came then
        window = Window(
            one.window_start_s,
            read_cell(pdfs, number, "input_tokens", one.input_tokens, Lengths.of),
            read_cell(pdfs, number, "output_tokens", one.output_tokens, Lengths.of),
        )
        lengths.setdefault(one.client, []).append(window)
    rates = _either(folder, "rates.csv")
    rows = zip(*columns_of(rates, readers).values(), strict=True)
    return Statistics(
        [
            read_cell(rates, number, "rate", row, lambda row: Rate(*row))
            for number, row in enumerate(rows, start=1)
        ],
        lengths,
    )


def _either(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz", folder / f"{name}.zst"):
        if path.exists():
            return path
    raise SimulationError(
        f"{folder} has neither {name} nor {name}.gz; a folder is read that holds ServeGen's "
        f"statistics, or the sessions of LMCache or AgentCgroup"
    )
