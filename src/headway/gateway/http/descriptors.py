"""Open files: as many as the system allows, and some of them kept for what is not a client."""

from __future__ import annotations

import sys

RESERVE = 1024
"""Kept for backends, models and logs; a quarter of a small limit."""


def raise_limit() -> None:
    """Let this process open as many files as it may without privileges."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_clients() -> int:
    """How many clients may be connected at once under the limit that holds."""
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return sys.maxsize
    return soft - min(RESERVE, soft // 4)
