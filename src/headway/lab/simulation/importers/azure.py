"""Azure LLM inference traces of 2023 and 2024: TIMESTAMP, ContextTokens, GeneratedTokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np

from headway.lab.simulation.importers.rows import columns_of, in_order
from headway.lab.simulation.trace import Trace

HEADER = {"TIMESTAMP", "ContextTokens", "GeneratedTokens"}


def load(path: Path) -> Trace:
    """Requests without output are left out. Raises SimulationError."""
    readers: dict[str, Callable[[str], float]] = {
        "TIMESTAMP": _seconds,
        "ContextTokens": float,
        "GeneratedTokens": float,
    }
    found = columns_of(path, readers)
    answered = [n for n in in_order(found["TIMESTAMP"]) if found["GeneratedTokens"][n] >= 1]
    times = np.array(found["TIMESTAMP"])[answered]
    return Trace(
        path.name,
        times - times[0] if len(times) else times,
        np.maximum(np.array(found["ContextTokens"])[answered], 1).astype(int),
        np.array(found["GeneratedTokens"])[answered].astype(int),
    )


def _seconds(text: str) -> float:
    # Seven digits of a second are one more than Python reads.
    date, _, digits = text.partition("+")[0].rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{date}+00:00").timestamp() + float(f"0.{digits or 0}")
