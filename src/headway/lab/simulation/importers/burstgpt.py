"""BurstGPT: Timestamp, Model, Request tokens, Response tokens, … (Wang et al. 2024)."""

from __future__ import annotations

from pathlib import Path

from headway.lab.simulation.importers.token_table import in_unit, token_table
from headway.lab.simulation.trace import Trace

HEADER = {"Timestamp", "Request tokens", "Response tokens"}


def load(path: Path, unit_s: float) -> Trace:
    """Failed requests, which have no response, are left out. Raises SimulationError."""
    return token_table(path, "Timestamp", in_unit(unit_s), "Request tokens", "Response tokens")
