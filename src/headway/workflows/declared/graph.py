"""Which task needs which others: stated, or since it uses what they return."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec

from headway.workflows.declared.expressions import referred
from headway.workflows.declared.pipeline import Pipeline
from headway.workflows.errors import WorkflowError


def needs_of(pipeline: Pipeline, file: object) -> Mapping[str, list[str]]:
    """What each task needs, the tasks in an order in which they can run.

    Raises:
        WorkflowError: a task needs one that is not there, or itself by a circle, which is named.
    """
    needs: dict[str, list[str]] = {}
    for name, task in pipeline.tasks.items():
        stated = [task.needs] if isinstance(task.needs, str) else list(task.needs)
        used = referred(_said(task), f"{file}: task {name}")
        needs[name] = list(dict.fromkeys([*stated, *used]))
        for other in needs[name]:
            if other not in pipeline.tasks:
                known = ", ".join(pipeline.tasks)
                raise WorkflowError(
                    f"{file}: task {name} needs {other}, which is not there; there are {known}"
                )
    for other in referred(pipeline.outputs, f"{file}: outputs"):
        if other not in pipeline.tasks:
            raise WorkflowError(f"{file}: outputs use {other}, which is no task")
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " needs ".join(error.args[1][::-1])
        raise WorkflowError(f"{file}: tasks wait for each other: {circle}") from None
    return {name: needs[name] for name in order}


def _said(task: Any) -> list[Any]:
    """All values of a task in which expressions may stand."""
    return [
        msgspec.to_builtins(value)
        for name in task.__struct_fields__
        if name not in ("needs", "schema") and (value := getattr(task, name)) is not msgspec.UNSET
    ]
