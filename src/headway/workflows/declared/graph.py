"""Which task needs which others: stated, or since it uses what they return."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec

from headway.workflows.declared.expressions import referred
from headway.workflows.declared.pipeline import Pipeline, TaskEntry
from headway.workflows.errors import WorkflowError


def needs_of(pipeline: Pipeline, file: object) -> Mapping[str, list[str]]:
    """What each task needs, the tasks in an order in which they can run.

    Raises:
        WorkflowError: something refers to a task, an input or a part of a matrix that is not
            there, or a task needs itself by a circle, which is named.
    """
    needs: dict[str, list[str]] = {}
    for name, task in pipeline.tasks.items():
        stated = [task.needs] if isinstance(task.needs, str) else list(task.needs)
        where = f"{file}: task {name}"
        used = [
            *_tasks_in(_shared(task), where, pipeline, ()),
            *_tasks_in(_said(task), where, pipeline, task.matrix),
        ]
        needs[name] = list(dict.fromkeys([*stated, *used]))
        for other in needs[name]:
            if other not in pipeline.tasks:
                known = ", ".join(pipeline.tasks)
                raise WorkflowError(
                    f"{file}: task {name} needs {other}, which is not there; there are {known}"
                )
    for other in _tasks_in(pipeline.outputs, f"{file}: outputs", pipeline, ()):
        if other not in pipeline.tasks:
            raise WorkflowError(f"{file}: outputs use {other}, which is no task")
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " needs ".join(error.args[1][::-1])
        raise WorkflowError(f"{file}: tasks wait for each other: {circle}") from None
    return {name: needs[name] for name in order}


def _tasks_in(
    template: Any, where: str, pipeline: Pipeline, matrix: Collection[str]
) -> Iterator[str]:
    """The tasks that a template refers to.

    Raises:
        WorkflowError: it refers to no input, or to nothing that `matrix` has.
    """
    there: dict[str, Collection[str]] = {"inputs": pipeline.inputs, "matrix": matrix}
    for root, name in referred(template, where):
        if root == "tasks":
            yield name
        elif name not in there[root] and not hasattr(dict, name):  # `inputs.items()`
            known = ", ".join(there[root]) or "nothing"
            raise WorkflowError(f"{where}: there is no {root}.{name}; {root} has {known}")


def _shared(task: TaskEntry) -> list[Any]:
    """What is read once for all combinations of a matrix."""
    return [task.matrix, *([] if task.when is msgspec.UNSET else [task.when])]


def _said(task: TaskEntry) -> list[Any]:
    """All other values of a task in which expressions may stand."""
    return [
        msgspec.to_builtins(value)
        for name in task.__struct_fields__
        if name not in ("needs", "schema", "matrix", "when")
        and (value := getattr(task, name)) is not msgspec.UNSET
    ]
