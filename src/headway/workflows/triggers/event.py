"""What happened, and the run that it starts: one run an event, however often it is heard of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from inspect import Parameter, signature
from typing import Any, Protocol

from headway.workflows.definition import Workflow
from headway.workflows.journal.journal import Journal
from headway.workflows.llm import Gateway


@dataclass(frozen=True, slots=True)
class Event:
    """Something that starts a run."""

    id: str
    """Names it among the events of its trigger: a second one with the same id starts nothing."""
    data: Mapping[str, Any] = field(default_factory=dict)


class CannotWatch(Exception):
    """A trigger that will never watch as it is set up; says why."""


Fire = Callable[[Event], Awaitable[None]]
"""Starts the run of an event; returns once the run is in the journal."""


@dataclass(frozen=True, slots=True)
class Around:
    """What triggers see of the worker."""

    name: str
    """Of the trigger: its marks in the journal bear it."""
    journal: Journal
    gateway: Gateway
    clock: Callable[[], float]


class Trigger(Protocol):
    """Watches for events until it is cancelled."""

    @property
    def watches(self) -> str:
        """What sets it apart from others of its kind in a workflow; in its marks and events."""
        ...

    async def watch(self, around: Around, fire: Fire) -> None:
        """Fire each event once it happens, and those of a downtime as the trigger states."""
        ...


def input_of(workflow: Workflow[..., Any], event: Event, given: Mapping[str, Any]) -> Any:
    """The input of the run of an event.

    Fields of its data go to parameters of the same name, all of it to a parameter `event`, and
    `given`, what the trigger states, before both.
    """
    parameters = signature(workflow.function).parameters
    takes_all = any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())
    found = {name: value for name, value in event.data.items() if takes_all or name in parameters}
    if "event" in parameters:
        found["event"] = dict(event.data)
    return found | dict(given)
