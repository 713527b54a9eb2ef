"""What this process may use of its machine, and what an embedded engine takes of it."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")


def usable_cores() -> int:
    """Number of cores this process may use, by CPU affinity and container quota; at least 1."""
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


def usable_memory_mib() -> int:
    """Memory that this process may use, in MiB: the machine's, or the container's limit."""
    limit_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no cgroup, or "max": no limit
        limit_bytes = min(limit_bytes, int(_MEMORY_LIMIT.read_text()))
    return limit_bytes >> 20


def saved_state_mib(memory_mib: int) -> int:
    """Memory for the KV cache of preempted requests, in MiB: 5% of `memory_mib`, at least 512 MiB.

    llama.cpp's default of 8 GiB is all the memory of a small machine, so it is only the maximum.
    512 MiB hold five requests of 4,096 tokens of the default model; others are computed again.
    """
    return max(512, min(8192, memory_mib // 20))


def default_slots(cores: int) -> int:
    """Number of slots that keeps this many cores busy without making each slot too slow."""
    return max(2, min(16, 2 * cores))
