"""How a run begins: its input is checked before anything of it is written."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any, get_type_hints

from headway.workflows import values
from headway.workflows.catalog import Catalog
from headway.workflows.definition import Workflow
from headway.workflows.errors import NotStorable, WorkflowError
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import RunRow

LONGEST_KEY = 500
"""Characters: what is longer is kept by its hash, since indexes hold no long ones."""
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


async def start(
    journal: Journal,
    catalog: Catalog,
    workflow: Workflow[..., Any],
    given: Mapping[str, Any],
    *,
    key: str | None = None,
    now: float | None = None,
) -> RunRow:
    """Start a run; a worker that knows the workflow runs it.

    Args:
        journal: where it is written.
        catalog: keeps its definition.
        workflow: what to run.
        given: its arguments by name, as JSON has them.
        key: the event that starts it. A second start with the same key returns the first run.
        now: seconds since 1970.

    Raises:
        WorkflowError: an argument is missing, unknown or of another type.
        NotStorable: an argument is nothing that JSON can hold.
    """
    check_input(workflow, given)
    now = time.time() if now is None else now
    row = RunRow(
        id=new_id(now),
        workflow=workflow.name,
        definition=workflow.hash,
        input_json=values.to_json(dict(given), f"the input of {workflow.name}"),
        key=None if key is None else _storable(key),
        tier=None if workflow.tier is None else workflow.tier.label,
        created_at=now,
        deadline_at=None if workflow.deadline_s is None else now + workflow.deadline_s,
    )
    catalog.keep(workflow)
    return await journal.add(row, catalog.definition(workflow))


def _storable(key: str) -> str:
    """A key as databases can hold and look up, whatever a sender or a file system calls things."""
    text = key.replace("\0", "\\0").encode(errors="backslashreplace").decode()
    if len(text) <= LONGEST_KEY:
        return text
    return f"{text[:LONGEST_KEY]}… {hashlib.sha256(text.encode()).hexdigest()}"


def new_id(now: float) -> str:
    """An id that sorts by time: milliseconds since 1970, then chance."""
    number, text = int(now * 1e3), ""
    while number:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return f"{text}-{secrets.token_hex(3)}"


def check_input(workflow: Workflow[..., Any], given: Mapping[str, Any]) -> None:
    """Raise WorkflowError if `given` is no input of the workflow: says which one is."""
    parameters = signature(workflow.function).parameters
    missing = [
        name
        for name, one in parameters.items()
        if one.default is Parameter.empty
        and one.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
        and name not in given
    ]
    takes_all = any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())
    unknown = [] if takes_all else [name for name in given if name not in parameters]
    if missing or unknown:
        wrong = f"needs {', '.join(missing)}" if missing else f"has no {', '.join(unknown)}"
        raise WorkflowError(f"{workflow.name} {wrong}; it takes {described(workflow)}")
    try:
        values.arguments(workflow.function, given)
    except NotStorable as error:
        why = str(error).replace("a stored value is not what the annotation says: ", "")
        raise WorkflowError(
            f"{workflow.name} cannot take this input: {why}; it takes {described(workflow)}"
        ) from None


def described(workflow: Workflow[..., Any]) -> str:
    """The inputs of a workflow, for people: `question: str, n: int = 3`."""
    text = str(signature(workflow.function)).partition(" -> ")[0].strip("()").removeprefix("*, ")
    return text.replace("'", "") or "no input"


def parsed(workflow: Workflow[..., Any], pairs: Mapping[str, str]) -> dict[str, Any]:
    """Inputs from texts such as a command line has: JSON, unless the workflow wants a text."""
    try:
        hints = get_type_hints(workflow.function)
    except Exception:
        hints = {}
    return {name: _value(text, hints.get(name, Any)) for name, text in pairs.items()}


def _value(text: str, type_: Any) -> Any:
    if type_ is str:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
