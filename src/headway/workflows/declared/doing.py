"""What the kinds of tasks in pipeline files do."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

from headway.core.request import Tier
from headway.workflows import values
from headway.workflows.catalog import load, module_of
from headway.workflows.declared.expressions import written
from headway.workflows.declared.pipeline import Ask, TaskEntry
from headway.workflows.declared.programs import run_program
from headway.workflows.declared.schemas import WrongResult, check
from headway.workflows.definition import Task, TaskSettings, Workflow, called, needs_of
from headway.workflows.errors import WorkflowError
from headway.workflows.llm import Answer
from headway.workflows.model import embed, llm, prompt
from headway.workflows.waits import ask, sleep

Do = Callable[[Mapping[str, Any]], Any]
"""Does a task, given its values with expressions replaced; returns what to await."""


_loading: ContextVar[tuple[Path, ...]] = ContextVar("headway_loading", default=())
"""The files of pipelines that are read, each since the one before runs it."""


def doing(name: str, task: TaskEntry, folder: Path) -> Do:
    """What a task does: its result fits its schema.

    Raises:
        WorkflowError: it names a function, file or tier that is not there, or states what cannot
            be held.
    """
    if task.kind in ("ask", "sleep_s", "value", "workflow"):
        wait = _waiting(name, task, folder)

        async def waited(given: Mapping[str, Any]) -> Any:
            return _fitting(await wait(given), name, task)

        return waited
    own: dict[str, Callable[..., Any]] = {
        "llm": _llm,
        "prompt": _prompt,
        "embed": _embed,
        "command": run_program,
    }
    found = own.get(task.kind) or _function(folder, str(task.python))
    function = found.function if isinstance(found, Task) else found
    if task.timeout_s is not None and not inspect.iscoroutinefunction(function):
        raise WorkflowError(
            f"task {name}: {task.python} is not async, so timeout_s cannot stop it; make it async"
        )
    try:
        settings = _settings(task, found.settings if isinstance(found, Task) else TaskSettings())
    except (TypeError, ValueError) as error:
        raise WorkflowError(f"task {name}: {error}") from None
    step: Task[..., Any] = Task(_checked(function, name, task), name, settings)
    if task.kind == "python":
        _check_arguments(function, name, task)
        return lambda given: step(**given["with"])
    return lambda given: step(**_arguments(task, given))


def _check_arguments(function: Callable[..., Any], name: str, task: TaskEntry) -> None:
    """Raise WorkflowError if `with` has not what a function takes."""
    with suppress(ValueError):  # one of C may not say what it takes
        try:
            inspect.signature(function).bind(**task.with_)
        except TypeError as error:
            raise WorkflowError(f"task {name}: its `with` does not fit: {error}") from None


def _settings(task: TaskEntry, own: TaskSettings) -> TaskSettings:
    """What the file states, on top of what a function of `@headway.task` has of its own.

    Raises:
        TypeError, ValueError: a number is out of range; there is no such tier or resource.
    """
    stated = task.stated()
    changes: dict[str, Any] = {
        name: stated[name] for name in ("retries", "timeout_s", "backoff_s") if name in stated
    }
    if task.tier is not None:
        changes["tier"] = Tier.parse(task.tier)
    if task.resources:
        changes["needs"] = needs_of(task.resources)
    return replace(own, **changes)


def _checked(function: Callable[..., Any], name: str, task: TaskEntry) -> Callable[..., Any]:
    """The function, which fails where its result does not fit the schema of its task."""
    if task.schema is None:
        return function

    @wraps(function)
    async def checked(*args: Any, **kwargs: Any) -> Any:
        return _fitting(await called(function, *args, **kwargs), name, task)

    return checked


def _fitting(result: Any, name: str, task: TaskEntry) -> Any:
    """The result of a task. Raises WrongResult: its schema does not allow it."""
    if task.schema is not None:
        what = f"what {name} returned"
        check(json.loads(values.to_json(result, what)), task.schema, what, WrongResult)
    return result


def _waiting(name: str, task: TaskEntry, folder: Path) -> Do:
    """What a task does that is no step of its own. Raises WorkflowError."""
    if task.kind == "ask":
        asked = Ask(task.ask) if isinstance(task.ask, str) else task.ask
        assert isinstance(asked, Ask)
        return lambda given: _ask(asked, task, given["ask"])
    if task.kind == "sleep_s":
        return lambda given: _sleep(name, given["sleep_s"])
    if task.kind == "value":
        return lambda given: _value(given["value"])
    run = _workflow(folder, str(task.workflow))
    _check_arguments(run.function, name, task)
    return lambda given: run(**given["with"])


def _arguments(task: TaskEntry, given: Mapping[str, Any]) -> dict[str, Any]:
    kind = task.kind
    said: dict[str, Any] = {"said": given[kind]}
    if kind in ("llm", "prompt"):
        said |= {"settings": given["settings"], "fallback_model": task.fallback_model}
    if kind in ("llm", "embed", "prompt"):
        said["model"] = given["model"]
    return said | ({"as_json": task.json} if kind != "embed" else {})


async def _llm(
    said: Any, model: str, settings: dict[str, Any], fallback_model: str | None, as_json: bool
) -> Any:
    if not isinstance(said, str) and not (
        isinstance(said, list) and all(isinstance(one, dict) for one in said)
    ):
        raise WorkflowError(f"it asks neither a text nor messages, but {said!r:.200}")

    async def asked(model: str) -> Answer:
        return await llm(said, model=model, **settings)

    return _read(await _answer(asked, model, fallback_model), as_json)


async def _prompt(
    said: dict[str, Any],
    model: str,
    settings: dict[str, Any],
    fallback_model: str | None,
    as_json: bool,
) -> Any:
    async def asked(model: str | None) -> Answer:
        return await prompt(
            said["id"], said["variables"], version=said["version"], model=model, **settings
        )

    own = None if model == "default" else model
    return _read(await _answer(asked, own, fallback_model), as_json)


async def _answer(
    asked: Callable[[Any], Awaitable[Answer]], model: str | None, fallback_model: str | None
) -> Answer:
    """The answer of a model, or of another one if it fails. Raises what the last one raised."""
    try:
        return await asked(model)
    except Exception:
        if fallback_model is None:
            raise
        return await asked(fallback_model)


def _read(answer: Answer, as_json: bool) -> Any:
    """The text, or what it says as JSON. Raises ValueError, which is worth another attempt."""
    if not as_json:
        return answer.text
    text = answer.text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    return json.loads(text)


async def _embed(said: Any, model: str) -> Any:
    return await embed([said] if isinstance(said, str) else said, model=model)


async def _ask(asked: Ask, task: TaskEntry, given: Any) -> Any:
    said = {"question": given} if isinstance(given, str) else given
    options: dict[str, Any] = {} if "default" not in said else {"default": said["default"]}
    if "choices" in said:
        options["choices"] = [written(one) for one in said["choices"] or ()]
    return await ask(
        written(said["question"]),
        edit=said.get("edit"),
        about=said.get("about"),
        notify=asked.notify,
        timeout_s=task.timeout_s,
        **options,
    )


async def _sleep(name: str, seconds: Any) -> None:
    try:
        await sleep(float(seconds))
    except (TypeError, ValueError) as error:
        raise WorkflowError(f"task {name}.sleep_s: {error}") from None


async def _value(value: Any) -> Any:
    return value


def _function(folder: Path, name: str) -> Callable[..., Any]:
    place, colon, function = name.rpartition(":")
    if not colon:
        raise WorkflowError(f"python: {name} has to be module:function or file.py:function")
    try:
        if place.endswith(".py"):
            file = folder / place
            module = module_of(file.resolve(), file.read_text(encoding="utf-8"))
        else:
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
            module = importlib.import_module(place)
        found = getattr(module, function)
    except Exception as error:
        raise WorkflowError(f"python: {name} is not there: {error}") from None
    function_: Callable[..., Any] = found
    return function_


def _workflow(folder: Path, name: str) -> Workflow[..., Any]:
    place, _, chosen = name.partition(":")
    file, above = (folder / place).resolve(), _loading.get()
    if file in above:
        raise WorkflowError(f"workflow: {name} runs itself without end")
    token = _loading.set((*above, file))
    try:
        found = [one for one in load(file) if chosen in ("", one.name)]
    finally:
        _loading.reset(token)
    if len(found) != 1:
        raise WorkflowError(f"workflow: {name} names {len(found)} workflows; write FILE:NAME")
    return found[0]
