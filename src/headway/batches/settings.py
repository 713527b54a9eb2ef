"""The settings of batches, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """Where batches lie, and how large they may be."""

    folder: Path
    """Holds the journal and all files, or copies of them; created if missing."""
    database: str = ""
    """`postgresql://…` of the journal and the files that gateways share; empty: `folder` alone."""
    max_file_bytes: int = 200 * 1024 * 1024
    max_lines: int = 50_000
    max_line_bytes: int = 32 * 1024 * 1024
    """Of the body of one request."""
    max_at_once: int = 1000
    """Lines in memory."""
    window: str = ""
    """When lines may begin, as "22:00-06:00 Europe/Berlin"; empty: always."""
