"""What a pipeline file may say. Whatever else it says is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from headway.workflows.declared.expressions import is_expression
from headway.workflows.errors import WorkflowError
from headway.yaml_words import document

KINDS = ("llm", "prompt", "embed", "python", "command", "workflow", "ask", "sleep_s", "value")
"""A task says exactly one of these."""
_STEP = ("retries", "timeout_s", "backoff_s", "tier", "resources")
_MODEL = (*_STEP, "model", "fallback_model", "settings", "json")
ANY = ("needs", "when", "matrix", "limit", "schema")
"""What every task may say besides; OPTIONS has what else each kind may."""
OPTIONS: dict[str, tuple[str, ...]] = {
    "llm": _MODEL,
    "prompt": _MODEL,
    "embed": (*_STEP, "model"),
    "python": (*_STEP, "with"),
    "command": (*_STEP, "json"),
    "workflow": ("with",),
    "ask": ("timeout_s",),
    "sleep_s": (),
    "value": (),
}


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    """What a person is asked."""

    question: str
    choices: Any = msgspec.UNSET
    edit: Any = None
    about: Any = None
    default: Any = msgspec.UNSET
    notify: str | None = None


class PromptUse(msgspec.Struct, forbid_unknown_fields=True):
    """A registered prompt."""

    id: str
    version: str | int | None = None
    variables: dict[str, Any] = {}


class TaskEntry(msgspec.Struct, forbid_unknown_fields=True):
    """One task."""

    llm: Any = msgspec.UNSET
    """A text, or messages."""
    prompt: PromptUse | msgspec.UnsetType = msgspec.UNSET
    embed: Any = msgspec.UNSET
    """Texts."""
    python: str | msgspec.UnsetType = msgspec.UNSET
    """`module:function`, or `file.py:function`, which gets `with`."""
    command: list[Any] | msgspec.UnsetType = msgspec.UNSET
    """A program and its arguments; its output is the result."""
    workflow: str | msgspec.UnsetType = msgspec.UNSET
    """Another file, which gets `with` as its input."""
    ask: Ask | str | msgspec.UnsetType = msgspec.UNSET
    sleep_s: Any = msgspec.UNSET
    value: Any = msgspec.UNSET
    needs: list[str] | str = ()  # type: ignore[assignment]
    when: Any = msgspec.UNSET
    matrix: dict[str, Any] = {}
    limit: int = 16
    with_: dict[str, Any] = msgspec.field(name="with", default_factory=dict)
    model: str = "default"
    fallback_model: str | None = None
    settings: dict[str, Any] = {}
    json: bool = False
    """Whether the result is JSON in a text."""
    schema: dict[str, Any] | None = None
    """A JSON Schema of the result."""
    retries: int = 0
    timeout_s: float | None = None
    backoff_s: float = 1.0
    tier: str | None = None
    resources: dict[str, Any] = {}

    @property
    def kind(self) -> str:
        """Which of KINDS it is."""
        [kind] = [kind for kind in KINDS if getattr(self, kind) is not msgspec.UNSET]
        return kind

    def stated(self) -> dict[str, Any]:
        """What it says beside its kind, by the names that the file has."""
        silent = TaskEntry()
        return {
            name: getattr(self, field)
            for field, name in zip(
                self.__struct_fields__, self.__struct_encode_fields__, strict=True
            )
            if name not in KINDS and getattr(self, field) != getattr(silent, field)
        }


class Pipeline(msgspec.Struct, forbid_unknown_fields=True):
    """A whole file."""

    tasks: dict[str, TaskEntry]
    name: str | None = None
    description: str = ""
    inputs: dict[str, dict[str, Any]] = {}
    """A JSON Schema for each input; one with `default` may be left out."""
    outputs: Any = None
    """What a run returns; by default what the last task did that no other needs."""
    deadline_s: float | None = None
    tier: str | None = None
    triggers: list[dict[str, Any]] = []


def read_pipeline(file: Path, text: str) -> Pipeline:
    """The pipeline in a file.

    Raises:
        WorkflowError: it is no YAML, or says what no pipeline says.
    """
    try:
        content = document(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise WorkflowError(f"{file} is no YAML: {' '.join(str(error).split())}") from None
    try:
        pipeline = msgspec.convert(content, Pipeline)
    except msgspec.ValidationError as error:
        raise WorkflowError(f"{file}: {_plain(error)}") from None
    if not pipeline.tasks:
        raise WorkflowError(f"{file} has no tasks")
    for name, task in pipeline.tasks.items():
        if not name.replace("-", "_").isidentifier():
            raise WorkflowError(f"{file}: a task may not be called {name!r}; use letters and _")
        said = [kind for kind in KINDS if getattr(task, kind) is not msgspec.UNSET]
        if len(said) != 1:
            what = f"says {' and '.join(said)}" if said else "says nothing to do"
            raise WorkflowError(
                f"{file}: task {name} {what}; it says exactly one of {', '.join(KINDS)}"
            )
        if useless := [one for one in task.stated() if one not in (*ANY, *OPTIONS[said[0]])]:
            raise WorkflowError(
                f"{file}: task {name}: {', '.join(useless)} does nothing for `{said[0]}`, which "
                f"takes {', '.join((*OPTIONS[said[0]], *ANY))}"
            )
        if task.command == []:
            raise WorkflowError(f"{file}: task {name}: command names no program")
        if task.limit < 1:
            raise WorkflowError(f"{file}: task {name}: limit is {task.limit}; it is at least 1")
        if isinstance(task.sleep_s, str) and not is_expression(task.sleep_s):
            raise WorkflowError(
                f"{file}: task {name}: sleep_s is seconds or one {{{{ expression }}}}, not "
                f"{task.sleep_s!r}"
            )
        if task.when is not msgspec.UNSET and not _is_condition(task.when):
            raise WorkflowError(
                f"{file}: task {name}: `when` is true, false or one {{{{ expression }}}}, not "
                f"{task.when!r}"
            )
    return pipeline


def _is_condition(when: Any) -> bool:
    """Whether it can be false: a text, such as `no`, never is."""
    return isinstance(when, bool) or (isinstance(when, str) and is_expression(when))


def _plain(error: msgspec.ValidationError) -> str:
    """The message of msgspec, with the place first."""
    what, _, place = str(error).partition(" - at ")
    if what.startswith("Expected `object`") and not place:
        return "a pipeline is a mapping with `tasks`, as docs/workflows.md has one"
    what = what.replace("Object contains unknown field", "unknown key")
    what = what.replace("Object missing required field", "missing key")
    where = place.strip("`").removeprefix("$").removeprefix(".").replace("[...]", ".…")
    return f"{where}: {what}" if where else what
