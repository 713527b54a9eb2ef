"""The steps of a run as a tree, and its progress while it goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from headway.workflows.errors import sentence
from headway.workflows.journal.rows import RunRow, StepRow, StepState
from headway.workflows.question import Question

MARKS = {
    StepState.RUNNING: "…",
    StepState.WAITING: "?",
    StepState.FINISHED: "✓",
    StepState.FAILED: "✗",
}
LINES = 30
"""Of the tree while it goes on: the newest steps."""


class Progress:
    """Shows how far a run is: as a tree, or a line for each step that ends.

    Args:
        stream: where to.
        as_tree: None: where the stream is a terminal.
    """

    def __init__(self, stream: TextIO, *, as_tree: bool | None = None) -> None:
        self._console = Console(file=stream)
        self._as_tree = self._console.is_terminal if as_tree is None else as_tree
        self._live = Live(console=self._console, transient=True, auto_refresh=False)
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        if self._as_tree:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._as_tree:
            self._live.stop()

    def show(self, run: RunRow, steps: Mapping[str, StepRow]) -> None:
        """Show it as it is now."""
        if self._as_tree:
            newest = dict(list(steps.items())[-LINES:])
            self._live.update(tree(run, newest, time.time()), refresh=True)
            return
        for path, step in steps.items():
            line = f"{path}: {_state(step)}"
            if (step.state.ended or step.state is StepState.WAITING) and line not in self._said:
                self._said.add(line)
                self._console.print(Text(line), soft_wrap=True)


def tree(run: RunRow, steps: Mapping[str, StepRow], now: float) -> Tree:
    """The run and its steps, those of an attempt under their step."""
    done = sum(step.state.ended for step in steps.values())
    root = Tree(Text(f"{run.workflow} {run.id}: {run.state}, {done} of {len(steps)} steps ended"))
    nodes: dict[str, Tree] = {}
    for path, step in steps.items():
        *above, name = path.split("/")
        parent = root
        for depth in range(1, len(above) + 1):
            place = "/".join(above[:depth])
            own = place.partition("~")[0] if place.count("/") == 0 else place.rpartition("~")[0]
            known = nodes.get(place) or nodes.get(own or place)
            if known is None:
                known = nodes[place] = parent.add(Text(above[depth - 1]))
            parent = known
        nodes[path] = parent.add(Text(f"{MARKS[step.state]} {name}  {described(step, now)}"))
    return root


def described(step: StepRow, now: float) -> str:
    """What is to say of a step, in a line."""
    parts = []
    if step.started_at is not None:
        parts.append(f"{(step.ended_at or now) - step.started_at:.1f} s")
    if step.attempt > 1:
        parts.append(f"attempt {step.attempt}")
    if step.output_tokens is not None:
        parts.append(f"{step.prompt_tokens or 0} + {step.output_tokens} tokens, {step.model}")
    parts.append(_state(step))
    return ", ".join(parts)


def _state(step: StepRow) -> str:
    if step.state is StepState.FAILED or (step.error_json and step.state is StepState.RUNNING):
        return sentence(step.error_json or '{"type": "failed", "message": ""}')
    if step.state is StepState.WAITING and step.question_json:
        question = Question.from_json(step.question_json)
        return f"asks: {question.text} (headway approve {step.run} {step.path})"
    return str(step.state)
