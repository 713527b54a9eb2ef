"""Runs and their steps as the API of the worker returns them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from headway.workflows.errors import sentence
from headway.workflows.graph import Node
from headway.workflows.journal.outlines import RunOutline
from headway.workflows.journal.rows import RunRow, StepRow
from headway.workflows.question import Question
from headway.workflows.waits import child_of

MOST_STEPS = 2000
"""In one answer: the newest."""
OUTLINE = (
    "id",
    "workflow",
    "state",
    "why",
    "tier",
    "created_at",
    "started_at",
    "ended_at",
    "deadline_at",
    "wake_at",
    "parent_run",
    "cancelling",
    "pruned",
)


def run_view(row: RunRow) -> dict[str, Any]:
    """All of a run."""
    kept = asdict(row)
    for name in ("input", "output", "error"):
        text = kept.pop(f"{name}_json")
        kept[name] = None if text is None else json.loads(text)
    return kept


def outline_view(row: RunRow) -> dict[str, Any]:
    """A run without what it was given and returned."""
    kept = {name: getattr(row, name) for name in OUTLINE}
    return kept | {"error": None if row.error_json is None else sentence(row.error_json)}


def listed_view(outline: RunOutline) -> dict[str, Any]:
    """A run in a list."""
    return outline_view(outline.run) | {"steps": outline.steps, "ended": outline.ended}


def graph_view(row: RunRow, nodes: Sequence[Node], steps: Sequence[StepRow]) -> dict[str, Any]:
    """A run as a graph, with its steps."""
    steps = [step for step in steps if step.kind != "gather"]  # says again what failed in it
    node_of = {step.path: node.id for node in nodes for step in node.steps}
    states = _states(row, nodes)
    return {
        "run": outline_view(row),
        "nodes": [_node(node, states[node.id]) for node in nodes],
        "steps": [_step(row, one, node_of.get(one.path)) for one in steps[-MOST_STEPS:]],
        "left_out": max(0, len(steps) - MOST_STEPS),
    }


def _states(row: RunRow, nodes: Iterable[Node]) -> dict[str, str]:
    """The state of each node; one without a step was skipped once others have gone on."""
    nodes = list(nodes)
    states = {node.id: node.state(row.state.ended) for node in nodes}
    needed = {other for node in nodes if states[node.id] != "open" for other in node.needs}
    for node in reversed(nodes):
        if states[node.id] == "open" and (node.id in needed or row.state == "finished"):
            states[node.id] = "finished" if node.ends_at_once else "skipped"
            needed.update(node.needs)
    return states


def _node(node: Node, state: str) -> dict[str, Any]:
    own = node.own
    began = [one.started_at for one in own if one.started_at is not None]
    ended = [one.ended_at for one in own if one.ended_at is not None]
    return {
        "id": node.id,
        "name": node.name,
        "kind": node.kind,
        "needs": node.needs,
        "state": state,
        "steps": len(own),
        "ended": len(ended),
        "failed": sum(one.state == "failed" for one in own),
        "retries": sum(max(0, one.attempt - 1) for one in own),
        "started_at": min(began, default=None),
        "ended_at": max(ended) if own and len(ended) == len(own) else None,
        "prompt_tokens": sum(one.prompt_tokens or 0 for one in node.steps),
        "output_tokens": sum(one.output_tokens or 0 for one in node.steps),
    }


def _step(row: RunRow, step: StepRow, node: str | None) -> dict[str, Any]:
    stopped = row.state.ended and not step.state.ended
    return {
        "path": step.path,
        "node": node,
        "kind": step.kind,
        "state": "stopped" if stopped else str(step.state),
        "attempt": step.attempt,
        "started_at": step.started_at,
        "ended_at": step.ended_at,
        "due_at": step.due_at,
        "model": step.model,
        "prompt_tokens": step.prompt_tokens,
        "output_tokens": step.output_tokens,
        "error": None if step.error_json is None else sentence(step.error_json),
        "asks": None if step.question_json is None else Question.of(step.question_json).text,
        "answered_by": step.answered_by,
        "child": child_of(row.id, step.path) if step.kind == "run" else None,
    }


def question_view(step: StepRow) -> dict[str, Any]:
    """What a person is asked."""
    return {
        "run": step.run,
        "path": step.path,
        "asked_at": step.started_at,
        "due_at": step.due_at,
        "question": json.loads(step.question_json or "null"),
    }
