"""What can be wrong with a prompt, or with what is asked of it."""

from __future__ import annotations


class PromptError(Exception):
    """A prompt cannot be read or used; the message is one sentence that says why."""


class PromptNotFound(PromptError):
    """There is no such prompt, or it has no such version.

    Args:
        message: what is missing, and what there is.
        wrong: `id` or `version`.
    """

    def __init__(self, message: str, wrong: str) -> None:
        super().__init__(message)
        self.wrong = wrong


class FileChanged(PromptError):
    """A file is not the one any more that its writer saw."""


class WrongVariables(PromptError):
    """Values are missing, unknown or of the wrong type; the message names them."""


class BrokenPrompt(PromptError):
    """The file of that version cannot be used: it is wrong, or was changed after publishing."""
