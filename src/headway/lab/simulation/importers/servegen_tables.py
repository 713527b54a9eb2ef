"""ServeGen's statistics as two tables: `rates.csv` and `token_pdfs.jsonl`, plain or compressed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.rows import columns_of, json_lines
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
    for one in json_lines(_either(folder, "token_pdfs.jsonl"), _Lengths):
        window = Window(
            one.window_start_s, Lengths.of(one.input_tokens), Lengths.of(one.output_tokens)
        )
        lengths.setdefault(one.client, []).append(window)
    found = columns_of(_either(folder, "rates.csv"), readers)
    return Statistics([Rate(*row) for row in zip(*found.values(), strict=True)], lengths)


def _either(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz", folder / f"{name}.zst"):
        if path.exists():
            return path
    raise SimulationError(
        f"{folder} has neither {name} nor {name}.gz; a folder is read that holds ServeGen's "
        f"statistics, or the sessions of LMCache or AgentCgroup"
    )
