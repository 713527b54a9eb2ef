"""From a pipeline file to the one thing that runs: a `Workflow`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from inspect import Parameter, Signature
from itertools import product
from pathlib import Path
from typing import Any

import msgspec

from headway.core.request import Tier
from headway.workflows import scope, triggers
from headway.workflows.branches import map_, named
from headway.workflows.declared.doing import Do, doing
from headway.workflows.declared.expressions import value_of
from headway.workflows.declared.graph import needs_of
from headway.workflows.declared.pipeline import Pipeline, TaskEntry, read_pipeline
from headway.workflows.declared.schemas import check, check_schema
from headway.workflows.definition import Source, Workflow
from headway.workflows.errors import WorkflowError
from headway.workflows.graph import Planned

TRIGGERS = {name.lower(): getattr(triggers, name) for name in triggers.__all__}


def compiled(file: Path, text: str) -> Workflow[..., Any]:
    """The workflow of a pipeline file.

    Raises:
        WorkflowError: the file is wrong; says where, and what to write.
    """
    pipeline = read_pipeline(file, text)
    needs = needs_of(pipeline, file)
    try:
        for name, schema in _schemas(pipeline).items():
            check_schema(schema, name)
        does = {name: doing(name, task, file.parent) for name, task in pipeline.tasks.items()}
        tier = None if pipeline.tier is None else Tier.parse(pipeline.tier)
        started_by = [_trigger(one) for one in pipeline.triggers]
    except (WorkflowError, ValueError) as error:
        raise WorkflowError(f"{file}: {error}") from None
    body = Body(pipeline, needs, does)
    return Workflow(
        body.function(),
        pipeline.name or file.stem,
        deadline_s=pipeline.deadline_s,
        tier=tier,
        triggers=started_by,
        source=Source(str(file), text),
        plan={
            name: Planned(pipeline.tasks[name].kind, tuple(others))
            for name, others in needs.items()
        },
    )


class Body:
    """Runs the tasks of a pipeline, each as soon as what it needs has ended.

    A task whose `when` is false is skipped, and so are those that need it, unless they have a
    `when` of their own; a skipped task returned None.

    Args:
        pipeline: the file.
        needs: what each task needs.
        does: what each task does.
    """

    def __init__(
        self, pipeline: Pipeline, needs: Mapping[str, list[str]], does: Mapping[str, Do]
    ) -> None:
        self._pipeline = pipeline
        self._needs = needs
        self._does = does
        needed = {other for others in needs.values() for other in others}
        self._last = [name for name in pipeline.tasks if name not in needed][-1]

    def function(self) -> Any:
        """The function of the workflow; its parameters are the inputs of the file."""

        async def pipeline(**inputs: Any) -> Any:
            return await self._run(inputs)

        pipeline.__name__ = self._pipeline.name or "pipeline"
        pipeline.__signature__ = Signature(  # type: ignore[attr-defined]
            [
                Parameter(
                    name,
                    Parameter.KEYWORD_ONLY,
                    default=schema.get("default", Parameter.empty),
                    annotation=schema.get("type", Parameter.empty),
                )
                for name, schema in self._pipeline.inputs.items()
            ]
        )
        pipeline.__annotations__ = {  # a text of the command line stays one, `1` too
            name: str
            for name, schema in self._pipeline.inputs.items()
            if schema.get("type") == "string"
        }
        return pipeline

    async def _run(self, given: Mapping[str, Any]) -> Any:
        inputs = {
            name: given.get(name, schema.get("default"))
            for name, schema in self._pipeline.inputs.items()
        }
        for name, value in inputs.items():
            check(value, self._pipeline.inputs[name], f"input {name}", WorkflowError)
        tasks: dict[str, Any] = {}
        skipped: set[str] = set()
        ended = {name: asyncio.Event() for name in self._needs}

        async def branch(name: str) -> None:
            await _wait_for([ended[other] for other in self._needs[name]])
            task = self._pipeline.tasks[name]
            names = {"inputs": inputs, "tasks": tasks, "matrix": {}}
            if self._is_skipped(name, task, names, skipped):
                skipped.add(name)
                tasks[name] = None
            else:
                tasks[name] = await self._result(name, task, names)
            ended[name].set()

        await named({name: branch(name) for name in self._needs})
        outputs = self._pipeline.outputs
        if outputs is None:
            return tasks[self._last]
        return value_of(outputs, {"inputs": inputs, "tasks": tasks, "matrix": {}}, "outputs")

    def _is_skipped(
        self, name: str, task: TaskEntry, names: Mapping[str, Any], skipped: set[str]
    ) -> bool:
        if task.when is msgspec.UNSET:
            return any(other in skipped for other in self._needs[name])
        value = value_of(task.when, names, f"task {name}.when")
        if isinstance(value, str):  # `no` and `false` would be true
            raise WorkflowError(
                f"task {name}.when: {task.when} is the text {value[:100]!r}, neither true nor "
                "false: compare it, as {{ tasks.NAME == 'yes' }}"
            )
        return not value

    async def _result(self, name: str, task: TaskEntry, names: Mapping[str, Any]) -> Any:
        if not task.matrix:
            return await self._once(name, task, names)
        axes = value_of(task.matrix, names, f"task {name}.matrix")
        for axis, values in axes.items():
            if not isinstance(values, list | tuple):
                raise WorkflowError(f"task {name}.matrix.{axis} is no list: {values!r}")
        cells = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]

        async def cell(matrix: dict[str, Any]) -> Any:
            return await self._once(name, task, {**names, "matrix": matrix})

        return await map_(cell, cells, limit=task.limit)

    async def _once(self, name: str, task: TaskEntry, names: Mapping[str, Any]) -> Any:
        said = {
            task.kind: msgspec.to_builtins(getattr(task, task.kind)),
            "with": task.with_,
            "settings": task.settings,
            "model": task.model,
        }
        return await self._does[name](value_of(said, names, f"task {name}"))


async def _wait_for(events: list[asyncio.Event]) -> None:
    inside = scope.current()
    if inside is None or all(event.is_set() for event in events):
        for event in events:
            await event.wait()
        return
    with inside.run.gathering():
        for event in events:
            await event.wait()


def _schemas(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    found = {f"inputs.{name}": schema for name, schema in pipeline.inputs.items()}
    for name, task in pipeline.tasks.items():
        if task.schema is not None:
            found[f"tasks.{name}.schema"] = task.schema
    return found


def _trigger(entry: Mapping[str, Any]) -> Any:
    """`{cron: "0 2 * * *", timezone: …}` as a trigger. Raises WorkflowError and ValueError."""
    kinds = [name for name in entry if name in TRIGGERS]
    if len(kinds) != 1:
        raise WorkflowError(f"a trigger says one of {', '.join(TRIGGERS)}, not {dict(entry)}")
    [kind] = kinds
    options = {name: value for name, value in entry.items() if name != kind}
    try:
        return TRIGGERS[kind](entry[kind], **options)
    except TypeError as error:
        raise WorkflowError(f"trigger {kind}: {error}") from None
