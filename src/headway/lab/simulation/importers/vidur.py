"""Vidur's request traces: arrived_at, num_prefill_tokens, num_decode_tokens (Agrawal 2024)."""

from __future__ import annotations

from pathlib import Path

from headway.lab.simulation.importers.token_table import in_unit, token_table
from headway.lab.simulation.trace import Trace

HEADER = {"arrived_at", "num_prefill_tokens", "num_decode_tokens"}


def load(path: Path, unit_s: float) -> Trace:
    """Requests without decode tokens are left out. Raises SimulationError."""
    return token_table(
        path, "arrived_at", in_unit(unit_s), "num_prefill_tokens", "num_decode_tokens"
    )
