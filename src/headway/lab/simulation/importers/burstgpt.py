"""BurstGPT: Timestamp, Model, Request tokens, Response tokens, … (Wang et al. 2024)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headway.lab.simulation.importers.rows import columns_of, in_order
from headway.lab.simulation.trace import Trace

HEADER = {"Timestamp", "Request tokens", "Response tokens"}


def load(path: Path) -> Trace:
    """Failed requests, which have no response, are left out. Raises SimulationError."""
    found = columns_of(
        path, {"Timestamp": float, "Request tokens": float, "Response tokens": float}
    )
    times, responses = found["Timestamp"], found["Response tokens"]
    answered = [n for n in in_order(times) if responses[n] >= 1]
    at_s = np.array(times)[answered]
    return Trace(
        path.name,
        at_s - at_s[0] if len(at_s) else at_s,
        np.maximum(np.array(found["Request tokens"])[answered], 1).astype(int),
        np.array(responses)[answered].astype(int),
    )
