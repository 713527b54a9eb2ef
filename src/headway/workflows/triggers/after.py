"""The end of another workflow's run starts a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headway.workflows.journal.rows import RunState
from headway.workflows.triggers.event import Around, Event, Fire

LOOK_EVERY_S = 0.5
OVERLAP_S = 60.0
"""Looks back so far: an end is written a moment after it was, and clocks differ."""


@dataclass(frozen=True, slots=True)
class After:
    """Starts a run when one of another workflow ends; `run`, `state` and `output` are inputs.

    Args:
        workflow: the other one.
        state: how it ended.
        input: of each run.

    Raises:
        ValueError: runs do not end so.
    """

    workflow: str
    state: str = "finished"
    input: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ends = [str(state) for state in RunState if state.ended]
        if self.state not in ends:
            raise ValueError(f"runs end as {', '.join(ends)}, not {self.state!r}")

    @property
    def watches(self) -> str:
        """What it looks at."""
        return f"{self.workflow} {self.state}"

    async def watch(self, around: Around, fire: Fire) -> None:
        """Fire an event for each run that ends, also while no worker was up."""
        mark = await around.journal.mark(around.name)
        now = around.clock()
        first, last = (now, now) if mark is None else json.loads(mark)
        fired: dict[str, float] = {}
        while True:
            since = max(first, last - OVERLAP_S)
            for run in await around.journal.ended_since(self.workflow, RunState(self.state), since):
                if run.id in fired:
                    continue
                data = {
                    "run": run.id,
                    "state": str(run.state),
                    "output": json.loads(run.output_json or "null"),
                }
                await fire(Event(run.id, data))
                fired[run.id] = run.ended_at or 0.0
                last = max(last, run.ended_at or 0.0)
                mark = None
            if mark is None:
                mark = json.dumps([first, last])
                await around.journal.set_mark(around.name, mark)
                fired = {run: at for run, at in fired.items() if at >= last - OVERLAP_S}
            await asyncio.sleep(LOOK_EVERY_S)
