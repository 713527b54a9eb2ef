"""The priority of commands that run beside a gateway."""

from __future__ import annotations

import contextlib
import os
import sys


def give_way() -> None:
    """Run only when nobody else wants the processor, if the system can do that."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        os.nice(19)
        if sys.platform == "linux":
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
