"""Where the functions of `functions.py` are."""

from __future__ import annotations

from pathlib import Path

from headway.models.source import ModelSource


def function(name: str) -> ModelSource:
    """A function of `functions.py`, for a worker process."""
    return ModelSource("python", f"{Path(__file__).with_name('functions.py')}:{name}")
