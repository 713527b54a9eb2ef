"""How a command ends when it cannot do what was asked."""

from __future__ import annotations

import errno
import sys
from typing import NoReturn

import typer

BAD_CONFIG = 2
"""Exit code where the command line or the configuration is wrong; 1 for everything else."""


INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Failure(Exception):
    """Ends the command with one line that says what is wrong and what to do."""

    def __init__(self, message: object, code: int = 1) -> None:
        super().__init__(" ".join(sentence_of(message).split()))
        self.code = code


def fail(command: str, error: Exception) -> NoReturn:
    """End `headway COMMAND` with one line on stderr that says what is wrong."""
    print(f"headway {command}: {sentence_of(error)}", file=sys.stderr)
    raise typer.Exit(1) from None


def sentence_of(error: object) -> str:
    """What is wrong, and what to do where the system does not say it."""
    if not isinstance(error, OSError) or error.errno is None or error.strerror is None:
        return str(error)
    name = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"{name}the disk is full; free some space, or write elsewhere"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{name}this user may not do that ({error.strerror.lower()}); name another file"
    return f"{name}{error.strerror.lower()}; check the path"
