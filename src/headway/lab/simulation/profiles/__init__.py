"""Profiles of public hardware that ship with the package, made by `training/profiles.py`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.profile import Profile, read_profile

SUFFIX = ".json"


def names() -> list[str]:
    """Those that ship."""
    found = (file.name for file in files(__name__).iterdir() if file.name.endswith(SUFFIX))
    return sorted(name.removesuffix(SUFFIX) for name in found)


def load_profile(name: str) -> Profile:
    """A profile that ships, by its name, or one of a file.

    Raises:
        SimulationError: there is none, or it is damaged.
    """
    path = Path(name)
    if path.is_file():
        return read_profile(path.read_bytes(), name)
    if name not in names():
        raise SimulationError(
            f"no profile {name!r}: give a file of `headway calibrate`, or one of "
            f"{', '.join(names())}"
        )
    return read_profile((files(__name__) / (name + SUFFIX)).read_bytes(), name)
