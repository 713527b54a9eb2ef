"""Splitwise's request traces: arrival_timestamp, prompt_size, token_size, … (Patel et al. 2024)."""

from __future__ import annotations

from pathlib import Path

from headway.lab.simulation.importers.token_table import in_unit, token_table
from headway.lab.simulation.trace import Trace

HEADER = {"request_id", "arrival_timestamp", "prompt_size", "token_size"}


def load(path: Path, unit_s: float) -> Trace:
    """Requests without generated tokens are left out. Raises SimulationError."""
    return token_table(
        path, "arrival_timestamp", in_unit(unit_s), "prompt_size", "token_size", ids="request_id"
    )
