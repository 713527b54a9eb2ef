"""A run as a graph: which of its steps need which others, drawn from what the journal knows.

A pipeline in YAML states its graph before it runs. For a function it is what has happened so far:
steps follow each other in the order in which they began, and branches of `gather` and `map` go
beside each other. Where more than a dozen are alike, they are one node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from headway.workflows.costs import pattern
from headway.workflows.journal.rows import StepRow, StepState

MOST_ALIKE = 12
"""More branches, or more calls of one name, are one node."""


class Planned(NamedTuple):
    """A task of a pipeline that states its graph."""

    kind: str
    needs: tuple[str, ...]


@dataclass(slots=True)
class Node:
    """One step, or several that are alike."""

    id: str
    name: str
    """For people; empty: it only joins branches."""
    kind: str
    needs: tuple[str, ...]
    steps: list[StepRow] = field(default_factory=list)
    """With those within them, such as calls of models in a task."""
    ends_at_once: bool = False
    """It has no step in the journal: its value is there once what it needs is."""

    @property
    def own(self) -> list[StepRow]:
        """Its steps without those within them."""
        return [step for step in self.steps if "~" not in step.path and step.kind != "notice"]

    def state(self, run_ended: bool) -> str:
        """`open`, `running`, `waiting`, `stopped`, `failed` or `finished`."""
        states = {step.state for step in self.own}
        if not states:
            return "open"
        for state in (StepState.RUNNING, StepState.WAITING):
            if state in states:
                return "stopped" if run_ended else str(state)
        return str(StepState.FAILED if StepState.FAILED in states else StepState.FINISHED)


def graph_of(steps: Iterable[StepRow], plan: Mapping[str, Planned]) -> list[Node]:
    """The nodes of a run, each after those that it needs.

    Args:
        steps: all of the run, in the order in which they began.
        plan: the tasks by name, in an order in which they can run; empty: it states none.
    """
    steps = [step for step in steps if step.kind != "gather"]
    if plan:
        return _planned(steps, plan)
    drawing = _Drawing()
    drawing.draw("", [(step.path.split("/"), step) for step in steps], ())
    return list(drawing.nodes.values())


def _planned(steps: Iterable[StepRow], plan: Mapping[str, Planned]) -> list[Node]:
    nodes = {
        name: Node(name, name, task.kind, task.needs, ends_at_once=task.kind == "value")
        for name, task in plan.items()
    }
    for step in steps:
        node = nodes.get(pattern(step.path.partition("/")[0]))
        if node is not None:
            node.steps.append(step)
    return list(nodes.values())


Placed = tuple[list[str], StepRow]
"""A step, and what of its path is below the scope that is drawn."""


class _Drawing:
    """Draws scopes into nodes, one after the other."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}

    def draw(self, scope: str, placed: Sequence[Placed], after: tuple[str, ...]) -> tuple[str, ...]:
        """Draw what is in a scope, behind the nodes `after`; return the nodes that it ends with."""
        for key, members in _items(placed).items():
            path = f"{scope}/{key}" if scope else key
            if "[" in members[0][0][0]:
                after = self._branches(path, members, after)
            else:
                node = self.nodes[path] = Node(path, pattern(key), members[0][1].kind, after)
                node.steps = [step for _, step in members]
                node.kind = node.own[0].kind if node.own else node.kind
                after = (path,)
        return after

    def _branches(
        self, path: str, members: Sequence[Placed], after: tuple[str, ...]
    ) -> tuple[str, ...]:
        below: dict[str, list[Placed]] = {}
        for segments, step in members:
            below.setdefault(segments[0], []).append((segments[1:], step))
        if len(below) > MOST_ALIKE:
            below = {path: [one for branch in below.values() for one in branch]}
            for branch in below.values():
                branch.sort(key=lambda one: one[1].started_at or 0.0)
        if len(after) > 1 and len(below) > 1:  # or every branch would have an edge from each
            after = self._join(path, after)
        scope = path.rpartition("/")[0]
        ends: list[str] = []
        for key, branch in below.items():
            inside = key if key == path or not scope else f"{scope}/{key}"
            ends += self.draw(inside, branch, after)
        return tuple(dict.fromkeys(ends)) or after

    def _join(self, path: str, after: tuple[str, ...]) -> tuple[str, ...]:
        node = Node(f"{path}:", "", "join", after, ends_at_once=True)
        self.nodes[node.id] = node
        return (node.id,)


def _items(placed: Sequence[Placed]) -> dict[str, list[Placed]]:
    """What follows each other in a scope; what is of one name, if that is often."""
    keys = [segments[0].partition("[")[0].partition("~")[0] for segments, _ in placed]
    often = Counter(key.partition("#")[0] for key in dict.fromkeys(keys))
    items: dict[str, list[Placed]] = {}
    for key, one in zip(keys, placed, strict=True):
        name = key.partition("#")[0]
        items.setdefault(name if often[name] > MOST_ALIKE else key, []).append(one)
    return items
