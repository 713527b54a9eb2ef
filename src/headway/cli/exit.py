"""How a command ends when it cannot do what was asked."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

BAD_CONFIG = 2
"""Exit code where the command line or the configuration is wrong; 1 for everything else."""


class Failure(Exception):
    """Ends the command with one line that says what is wrong and what to do."""

    def __init__(self, message: object, code: int = 1) -> None:
        super().__init__(" ".join(str(message).split()))
        self.code = code


def fail(command: str, error: Exception) -> NoReturn:
    """End `headway COMMAND` with one line on stderr that says what is wrong."""
    print(f"headway {command}: {error}", file=sys.stderr)
    raise typer.Exit(1) from None
