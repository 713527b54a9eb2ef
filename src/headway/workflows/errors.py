"""What goes wrong in workflows, in sentences; failures of steps, as the journal keeps them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LONGEST = 20_000
"""Characters of a message that are kept."""


class WorkflowError(Exception):
    """Something is wrong with how a workflow is written or used."""


class StepFailed(WorkflowError):
    """A step failed with an error that cannot be made again from the journal.

    Args:
        type_: the name of its class.
        message: its text.
    """

    def __init__(self, type_: str, message: str) -> None:
        super().__init__(f"{type_}: {message}" if message else type_)
        self.type = type_


class TimedOut(WorkflowError):
    """A step, or a wait for an answer, took longer than it may."""


class Rejected(WorkflowError):
    """A person said no."""


class Cancelled(WorkflowError):
    """The run was cancelled."""


class NotStorable(WorkflowError):
    """A value is not one that JSON can hold."""


@contextmanager
def without_exit() -> Iterator[None]:
    """Make an error of `sys.exit`: the other runs of the worker go on. Raises WorkflowError."""
    try:
        yield
    except SystemExit as error:
        raise WorkflowError(
            f"it ended the program, with status {error.code}: raise an error instead"
        ) from error


def to_json(error: BaseException) -> str:
    """The error as JSON: its class, its text and, where JSON can hold them, its arguments."""
    kind = type(error)
    if isinstance(error, StepFailed):
        return json.dumps({"type": error.type, "message": str(error).partition(": ")[2]})
    kept: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    try:
        kept["message"] = str(error)
    except Exception as wrong:
        return json.dumps(kept | {"message": f"(its text cannot be made: {wrong!r})"})
    if len(kept["message"]) > LONGEST:
        return json.dumps(kept | {"message": kept["message"][:LONGEST] + " …"})
    try:
        args = json.dumps(error.args, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        args = ""
    if not args or len(args) > LONGEST:
        return json.dumps(kept)
    return json.dumps(kept | {"args": error.args})


def from_json(text: str) -> Exception:
    """The error again: of its own class if that can be made with the same text, else StepFailed.

    So a workflow catches the same class when it runs again as it did at first.
    """
    kept = json.loads(text)
    module, _, name = kept["type"].rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
        made = kind(*kept.get("args", [kept["message"]]))
    except Exception:
        return StepFailed(kept["type"], kept["message"])
    if isinstance(made, Exception) and str(made) == kept["message"]:
        return made
    return StepFailed(kept["type"], kept["message"])


def sentence(text: str) -> str:
    """An error that `to_json` made, as a person reads it."""
    kept = json.loads(text)
    name = kept["type"].rpartition(".")[2]
    return f"{name}: {kept['message']}" if kept["message"] else str(name)
