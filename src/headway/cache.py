"""Where Headway keeps what it fetched or made once."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$HEADWAY_CACHE`, else `headway` in the user's cache."""
    if own := os.environ.get("HEADWAY_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "headway"
