"""What the kinds of tasks in pipeline files do."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from headway.core.request import Tier
from headway.workflows.catalog import load, module_of
from headway.workflows.declared.pipeline import Ask, TaskEntry
from headway.workflows.definition import Task, TaskSettings, Workflow, needs_of
from headway.workflows.errors import WorkflowError
from headway.workflows.llm import Answer
from headway.workflows.model import embed, llm, prompt
from headway.workflows.waits import ask, sleep

Do = Callable[[Mapping[str, Any]], Any]
"""Does a task, given its values with expressions replaced; returns what to await."""


class CommandFailed(Exception):
    """A program ended with another status than 0."""


def doing(name: str, task: TaskEntry, folder: Path) -> Do:
    """What a task does.

    Raises:
        WorkflowError: it names a function, file or tier that is not there.
    """
    kind = task.kind
    if kind == "ask":
        asked = Ask(task.ask) if isinstance(task.ask, str) else task.ask
        assert isinstance(asked, Ask)
        return lambda given: _ask(asked, task, given["ask"])
    if kind == "sleep_s":
        return lambda given: sleep(float(given["sleep_s"]))
    if kind == "value":
        return lambda given: _value(given["value"])
    if kind == "workflow":
        called = _workflow(folder, str(task.workflow))
        return lambda given: called(**given["with"])
    own: dict[str, Callable[..., Any]] = {
        "llm": _llm,
        "prompt": _prompt,
        "embed": _embed,
        "command": _command,
    }
    function = own.get(kind) or _function(folder, str(task.python))
    try:
        tier = None if task.tier is None else Tier.parse(task.tier)
        settings = TaskSettings(
            retries=task.retries,
            timeout_s=task.timeout_s,
            backoff_s=task.backoff_s,
            tier=tier,
            needs=needs_of(task.resources),
        )
    except (TypeError, ValueError) as error:
        raise WorkflowError(f"task {name}: {error}") from None
    if kind == "python":
        step: Task[..., Any] = Task(function, name, settings)
        return lambda given: step(**given["with"])
    step = Task(function, name, settings)
    return lambda given: step(**_arguments(kind, task, given))


def _arguments(kind: str, task: TaskEntry, given: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"said": given[kind]}
    if kind in ("llm", "prompt"):
        said |= {"settings": given["settings"], "fallback_model": task.fallback_model}
    if kind in ("llm", "embed", "prompt"):
        said["model"] = given["model"]
    return said | ({"as_json": task.json} if kind != "embed" else {})


async def _llm(
    said: Any, model: str, settings: dict[str, Any], fallback_model: str | None, as_json: bool
) -> Any:
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


async def _command(said: list[Any], as_json: bool) -> Any:
    program = await asyncio.create_subprocess_exec(
        *(str(one) for one in said),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await program.communicate()
    except asyncio.CancelledError:
        program.kill()
        await program.wait()
        raise
    if program.returncode:
        last = err.decode(errors="replace").strip().rpartition("\n")[2]
        raise CommandFailed(f"{said[0]} ended with status {program.returncode}: {last}")
    text = out.decode(errors="replace")
    return json.loads(text) if as_json else text


async def _ask(asked: Ask, task: TaskEntry, given: Any) -> Any:
    said = {"question": given} if isinstance(given, str) else given
    options: dict[str, Any] = {} if "default" not in said else {"default": said["default"]}
    return await ask(
        str(said["question"]),
        choices=[str(one) for one in said.get("choices") or ()],
        edit=said.get("edit"),
        about=said.get("about"),
        notify=asked.notify,
        timeout_s=task.timeout_s,
        **options,
    )


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
    called_: Callable[..., Any] = found.function if isinstance(found, Task) else found
    return called_


def _workflow(folder: Path, name: str) -> Workflow[..., Any]:
    file, _, chosen = name.partition(":")
    found = [one for one in load(folder / file) if chosen in ("", one.name)]
    if len(found) != 1:
        raise WorkflowError(f"workflow: {name} names {len(found)} workflows; write FILE:NAME")
    return found[0]
