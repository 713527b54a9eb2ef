"""The limit of open files: raised to its maximum, and shared between clients and the rest."""

from __future__ import annotations

import sys

RESERVE = 1024
"""Files reserved for backends, models and logs; at most a quarter of the limit."""


def raise_limit() -> None:
    """Raise the limit of open files to the maximum that needs no privileges."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_clients() -> int:
    """Maximum number of connected clients under the current limit of open files."""
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return sys.maxsize
    return soft - min(RESERVE, soft // 4)
