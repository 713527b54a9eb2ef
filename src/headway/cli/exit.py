"""How a command ends when it cannot do what was asked."""

from __future__ import annotations

BAD_CONFIG = 2
"""Exit code where the command line or the configuration is wrong; 1 for everything else."""


class Failure(Exception):
    """Ends the command with one line that says what is wrong and what to do."""

    def __init__(self, message: object, code: int = 1) -> None:
        super().__init__(" ".join(str(message).split()))
        self.code = code
