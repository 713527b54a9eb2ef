"""What goes wrong in workflows, in sentences; failures of steps, as the journal keeps them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
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
    """The error as JSON: its class, its text and, of what JSON can hold, what it is made of."""
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
    args: Any = error.args
    with suppress(Exception):  # a JSONDecodeError, say, has other arguments than its `args`
        made_by, made_of, *_ = tuple(error.__reduce__())
        args = made_of if made_by is kind else args
    if _fits(args):
        kept["args"] = args
    if attributes := {name: value for name, value in vars(error).items() if _fits(value)}:
        kept["attributes"] = attributes
    return json.dumps(kept)


def _fits(value: Any) -> bool:
    """Whether JSON can hold it, and it is not too long to be kept."""
    try:
        return len(json.dumps(value, allow_nan=False)) <= LONGEST
    except (TypeError, ValueError, RecursionError):
        return False


def from_json(text: str) -> Exception:
    """The error again, with the same text: of its own class, or else of the nearest one that it
    derives from and that can be made; StepFailed if that would be any Exception.

    So what catches it does so at first and when the workflow runs again.
    """
    kept = json.loads(text)
    message, attributes = [kept["message"]], kept.get("attributes", {})
    for number, kind in enumerate(_kinds(kept["type"])):
        args = message if number else kept.get("args", message)
        for make in (kind, partial(kind.__new__, kind)):  # some take other arguments than they keep
            with suppress(Exception):
                made = make(*args)
                vars(made).update(attributes)
                if str(made) == kept["message"]:
                    return made
    return StepFailed(kept["type"], kept["message"])


def _kinds(name: str) -> list[type[Exception]]:
    """The class of an error and those that it derives from, the nearest first, below Exception."""
    module, _, own = name.rpartition(".")
    try:
        line = getattr(importlib.import_module(module), own).__mro__
        below = line[: max(1, line.index(Exception))]
        return [one for one in below if issubclass(one, Exception)]
    except Exception:
        return []


def sentence(text: str) -> str:
    """An error that `to_json` made, as a person reads it."""
    kept = json.loads(text)
    name = kept["type"].rpartition(".")[2]
    return f"{name}: {kept['message']}" if kept["message"] else str(name)
