"""A short queue at the gateway starts a run: work for idle times."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headway.workflows.llm import Refused
from headway.workflows.triggers.event import Around, Event, Fire

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Starts a run when few requests wait at the gateway, and not again before `rest_s`.

    Args:
        below: fewer waiting requests than this.
        rest_s: the least time between two runs.
        look_every_s: how often the gateway is asked.
        input: of each run.

    Raises:
        ValueError: a number is out of range.
    """

    below: int = 1
    rest_s: float = 60.0
    look_every_s: float = 5.0
    input: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.below < 1 or self.rest_s < 0 or self.look_every_s <= 0:
            raise ValueError("below is at least 1, rest_s at least 0, look_every_s positive")

    @property
    def watches(self) -> str:
        """What it looks at."""
        return "the queue"

    async def watch(self, around: Around, fire: Fire) -> None:
        """Fire an event whenever the queue is short enough."""
        said = ""
        while True:
            mark = await around.journal.mark(around.name)
            now = around.clock()
            # A mark in the future: the clock was set back.
            if mark is None or not 0 <= now - float(mark) < self.rest_s:
                try:
                    waiting = await around.gateway.waiting()
                except Refused as error:
                    if str(error) != said:
                        logger.warning("%s: the queue is not known: %s", around.name, error)
                    said = str(error)
                else:
                    if waiting < self.below:
                        # All workers name it so, and start one run.
                        await fire(Event(f"after {mark}", {"waiting": waiting}))
                        await around.journal.set_mark(around.name, repr(now))
            await asyncio.sleep(self.look_every_s)
