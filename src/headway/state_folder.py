"""Where Headway keeps what must last: logs and journals."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def state_folder() -> Path:
    """`headway` in the folder in which programs of this user keep their state, on this system."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local"))
    elif sys.platform == "darwin":
        base = Path("~/Library/Application Support")
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state")
    return base.expanduser() / "headway"
