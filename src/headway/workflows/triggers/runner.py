"""Watches the triggers of a worker's workflows, and starts the run of each event."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from headway.workflows.catalog import Catalog
from headway.workflows.definition import Workflow
from headway.workflows.errors import WorkflowError
from headway.workflows.journal.errors import JournalError
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import RunRow
from headway.workflows.llm import Gateway
from headway.workflows.starting import start
from headway.workflows.triggers.event import Around, CannotWatch, Event, Trigger, input_of
from headway.workflows.triggers.webhook import Webhook

logger = logging.getLogger(__name__)

AGAIN_S = 5.0
"""After a trigger failed in a way that may pass."""


class Triggers:
    """All triggers of the workflows in a catalog.

    Args:
        journal: where runs start.
        catalog: the workflows.
        gateway: whose queue is looked at.
        wake: called when a run has started.
        clock: seconds since 1970.

    Raises:
        WorkflowError: two webhooks have one name.
    """

    def __init__(
        self,
        journal: Journal,
        catalog: Catalog,
        gateway: Gateway,
        wake: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._catalog = catalog
        self._gateway = gateway
        self._wake = wake
        self._clock = clock
        self._watched: list[tuple[str, Workflow[..., Any], Trigger]] = []
        self.hooks: dict[str, tuple[Webhook, Callable[[Event], Awaitable[RunRow]]]] = {}
        """Webhooks by name, each with what starts the run of an event."""
        for workflow in catalog:
            for name, trigger in _named(workflow):
                self._watched.append((name, workflow, trigger))
                if isinstance(trigger, Webhook):
                    if trigger.name in self.hooks:
                        raise WorkflowError(f"two webhooks are called {trigger.name}")
                    starts = partial(self._start, name, workflow, trigger)
                    self.hooks[trigger.name] = trigger, starts

    async def run(self) -> None:
        """Watch all of them until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, workflow, trigger in self._watched:
                group.create_task(self._watch(name, workflow, trigger), name=name)

    async def _watch(self, name: str, workflow: Workflow[..., Any], trigger: Trigger) -> None:
        around = Around(name, self._journal, self._gateway, self._clock)

        async def fire(event: Event) -> None:
            try:
                await self._start(name, workflow, trigger, event)
            except (WorkflowError, JournalError) as error:
                logger.error("%s: event %s starts no run: %s", name, event.id, error)

        while True:
            try:
                await trigger.watch(around, fire)
            except CannotWatch as error:
                logger.error("trigger %s does not watch: %s", name, error)
                return
            except Exception:
                logger.exception("trigger %s failed; it watches again in a moment", name)
                await asyncio.sleep(AGAIN_S)

    async def _start(
        self, name: str, workflow: Workflow[..., Any], trigger: Any, event: Event
    ) -> RunRow:
        given = input_of(workflow, event, trigger.input)
        key = f"{name} {event.id}"
        row = await start(self._journal, self._catalog, workflow, given, key=key, now=self._clock())
        logger.info("%s: event %s started run %s", name, event.id, row.id)
        self._wake()
        return row


def _named(workflow: Workflow[..., Any]) -> Iterator[tuple[str, Any]]:
    """Its triggers with their names, which stay as they are when others come before them."""
    alike: Counter[str] = Counter()
    for trigger in workflow.triggers:
        name = f"{workflow.name}.{type(trigger).__name__.lower()} {trigger.watches}"
        alike[name] += 1
        yield (name if alike[name] == 1 else f"{name} #{alike[name]}"), trigger
