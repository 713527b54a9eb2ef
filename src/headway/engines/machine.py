"""The resources of this machine for an embedded engine."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Cores that this process may use, by CPU affinity and container quota; at least 1."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        quota, period = _CPU_QUOTA.read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no cgroup, or "max": no quota
        pass
    return max(1, cores)


def default_slots(cores: int) -> int:
    """Number of slots that keeps this many cores busy without making each slot too slow."""
    return max(2, min(16, 2 * cores))
