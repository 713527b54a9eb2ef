"""Azure LLM inference traces of 2023 and 2024: TIMESTAMP, ContextTokens, GeneratedTokens."""

from __future__ import annotations

from pathlib import Path

from headway.lab.simulation.importers.dates import unix_s
from headway.lab.simulation.importers.token_table import token_table
from headway.lab.simulation.trace import Trace

HEADER = {"TIMESTAMP", "ContextTokens", "GeneratedTokens"}


def load(path: Path) -> Trace:
    """Requests without output are left out. Raises SimulationError."""
    return token_table(path, "TIMESTAMP", unix_s, "ContextTokens", "GeneratedTokens")
