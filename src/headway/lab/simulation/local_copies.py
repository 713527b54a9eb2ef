"""Finds a trace at its path or in the folder HEADWAY_DATA."""

from __future__ import annotations

import os
from pathlib import Path

from headway.lab.simulation.errors import SimulationError


def located(path: Path) -> Path:
    """`path`, or where nothing is there the same in `$HEADWAY_DATA/traces` or `$HEADWAY_DATA`.

    Raises:
        SimulationError: it is nowhere; the message says where it was looked for.
    """
    folder = os.environ.get("HEADWAY_DATA", "")
    others = [Path(folder, "traces"), Path(folder)] if folder else []
    for place in (path, *(other / path for other in others)):
        if place.exists():
            return place
    if path.is_absolute():
        raise SimulationError(f"there is no trace {path}; check the path")
    if not folder:
        raise SimulationError(
            f"there is no trace {path} here; check the path, or set HEADWAY_DATA to a folder that "
            f"holds it"
        )
    raise SimulationError(
        f"there is no trace {path} here, in {others[0]} or in {others[1]}; check the path"
    )
