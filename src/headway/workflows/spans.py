"""A run as a tree of spans, in the names of OpenTelemetry's GenAI conventions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from headway.traces.span import Context, Span
from headway.workflows.costs import pattern
from headway.workflows.errors import sentence
from headway.workflows.journal.rows import RunRow, RunState, StepRow, StepState

OPERATIONS = {"llm": "chat", "embed": "embeddings", "run": "invoke_workflow"}
"""The convention's name of what a step of a kind does."""


def trace_id_of(run: str) -> int:
    """The trace of a run, the same for the runs that it started."""
    return _number(run.split(".", 1)[0], 16)


def span_id_of(run: str, path: str = "") -> int:
    """The span of a step; of the run itself if the path is empty."""
    return _number(f"{run}/{path}", 8)


def traceparent(run: str, path: str) -> str:
    """The W3C header by which other services continue the trace under a step."""
    return Context(trace_id_of(run), span_id_of(run, path), None).traceparent


def spans_of(run: RunRow, steps: Iterable[StepRow], *, contents: bool = False) -> list[Span]:
    """The spans of a run that has ended, the run's own first.

    Args:
        run: the run.
        steps: all its steps.
        contents: whether messages and answers are attributes, too: they may be private.
    """
    known = {step.path: step for step in steps}
    ended_at = run.ended_at or max((one.ended_at or 0.0 for one in known.values()), default=0.0)
    parent = None
    if run.parent_run is not None:
        parent = span_id_of(run.parent_run, run.parent_path or "")
    root = Span(
        f"invoke_workflow {run.workflow}",
        trace_id_of(run.id),
        span_id_of(run.id),
        parent,
        run.started_at or run.created_at,
        ended_at,
        {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": run.workflow,
            "gen_ai.conversation.id": run.id.split(".", 1)[0],
            "headway.run.id": run.id,
            "headway.run.state": str(run.state),
        },
        error=sentence(run.error_json) if run.state is RunState.FAILED and run.error_json else None,
    )
    return [root, *(_span(run, one, known, ended_at, contents) for one in known.values())]


def _span(
    run: RunRow, step: StepRow, known: Mapping[str, StepRow], ended_at: float, contents: bool
) -> Span:
    operation = OPERATIONS.get(step.kind)
    attributes: dict[str, Any] = {
        "headway.step.path": step.path,
        "headway.step.kind": step.kind,
        "headway.step.attempts": step.attempt,
        "gen_ai.workflow.name": run.workflow,
        "gen_ai.conversation.id": run.id.split(".", 1)[0],
    }
    if operation is not None:
        attributes["gen_ai.operation.name"] = operation
    if step.kind in ("llm", "embed"):
        attributes |= _call(step, contents)
    if step.answered_by is not None:
        attributes["headway.answered_by"] = step.answered_by
    name = pattern(step.path).rpartition("/")[2]
    if step.kind in ("llm", "embed"):
        name = f"{operation} {step.model}" if step.model else str(operation)
    began_at = step.started_at or run.created_at
    failed = step.state is StepState.FAILED and step.error_json
    return Span(
        name,
        trace_id_of(run.id),
        span_id_of(run.id, step.path),
        span_id_of(run.id, _parent(step.path, known)),
        began_at,
        step.ended_at or max(began_at, ended_at),
        attributes,
        is_client=step.kind in ("llm", "embed", "predict", "notice"),
        error=sentence(step.error_json) if failed and step.error_json else None,
    )


def _call(step: StepRow, contents: bool) -> dict[str, Any]:
    asked = json.loads(step.question_json or "{}")
    found: dict[str, Any] = {
        "gen_ai.provider.name": "headway",
        "gen_ai.request.model": asked.get("model"),
        "gen_ai.request.max_tokens": asked.get("max_tokens"),
        "gen_ai.request.temperature": asked.get("temperature"),
        "gen_ai.response.model": step.model,
        "gen_ai.usage.input_tokens": step.prompt_tokens,
        "gen_ai.usage.output_tokens": step.output_tokens,
    }
    answer = json.loads(step.output_json or "null")
    if step.kind == "llm" and isinstance(answer, dict):
        if answer.get("finish_reason"):
            found["gen_ai.response.finish_reasons"] = [answer["finish_reason"]]
        if contents:
            found["gen_ai.output.messages"] = json.dumps([answer.get("message")])
    if contents and "messages" in asked:
        found["gen_ai.input.messages"] = json.dumps(asked["messages"])
    return {name: value for name, value in found.items() if value is not None}


def _parent(path: str, known: Mapping[str, StepRow]) -> str:
    """The step in whose attempt a step is; "" for one of the workflow's own."""
    parts = path.split("/")
    for length in range(len(parts) - 1, 0, -1):
        above, tilde, _ = "/".join(parts[:length]).rpartition("~")
        if tilde and above in known:
            return above
    return ""


def _number(text: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size], "big") or 1
