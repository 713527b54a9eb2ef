"""Waits that last: for a time, a person, an event, another run. What waits is a row."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from headway.workflows import errors, notices, scope, values
from headway.workflows.definition import Workflow
from headway.workflows.journal.rows import RunRow, StepRow, StepState
from headway.workflows.question import Question
from headway.workflows.steps import once, outcome

if TYPE_CHECKING:
    from headway.workflows.execution import Execution

LONGEST_S = 100 * 365.25 * 86_400.0
LONGEST_TIMER_S = 60.0
"""Looks at the clock so often: it may jump."""


async def sleep(seconds: float) -> None:
    """Wait for `seconds`, through restarts, too.

    Raises:
        WorkflowError: it is not called in the body of a workflow.
        ValueError: `seconds` is negative, or no number.
    """
    _check(seconds, "sleep for")
    inside = scope.required("headway.sleep")
    path = inside.reserve("sleep")
    due_at = inside.run.services.clock() + seconds
    await _wait(inside.run, path, "timer", None, due_at)


async def sleep_until(moment: datetime) -> None:
    """Wait until a moment, which has a time zone.

    Raises:
        WorkflowError: it is not called in the body of a workflow.
        ValueError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone; write datetime(…, tzinfo=ZoneInfo(…))")
    inside = scope.required("headway.sleep_until")
    await _wait(inside.run, inside.reserve("sleep"), "timer", None, moment.timestamp())


async def ask(
    question: str,
    *,
    choices: Sequence[str] | None = None,
    edit: Any = None,
    about: Any = None,
    timeout_s: float | None = None,
    default: Any = ...,
    notify: str | None = None,
) -> Any:
    """Ask a person, and wait for the answer, for days and through restarts.

    Without `choices` and `edit` the question is one of approval: returns True.

    Args:
        question: the text.
        choices: what to choose from; returns one of them.
        edit: what the person may change before it goes on; returns it as it is then.
        about: anything that the person should see.
        timeout_s: how long to wait; up to 100 years.
        default: what to return when the time is over; without it TimedOut is raised.
        notify: a URL that gets the question, once, signed with HEADWAY_WEBHOOK_SECRET.

    Raises:
        Rejected: the person said no.
        TimedOut: nobody answered in time.
        WorkflowError: it is not called in the body of a workflow, or `notify` failed.
        ValueError: `timeout_s` is negative, or no number; `choices` are none, or no texts.
    """
    _check(timeout_s, "wait for")
    if choices is not None and (
        isinstance(choices, str) or not choices or not all(isinstance(one, str) for one in choices)
    ):
        raise ValueError(f"choices are {choices!r:.200}: offer at least one, each a text")
    asked = Question(question, tuple(choices or ()), edit, about)
    inside = scope.required("headway.ask")
    run, path = inside.run, inside.reserve("ask")
    due_at = None if timeout_s is None else run.services.clock() + timeout_s
    text = asked.to_json()
    if notify is not None:
        await once(
            run,
            f"{path}/notify",
            "notice",
            "",
            lambda: notices.send(notify, run.row, path, text),
            Any,
        )
    fingerprint = values.fingerprint("ask", (text,), {})
    step = await _wait(run, path, "person", text, due_at, fingerprint)
    if step.state is StepState.FAILED and default is not ...:
        return default
    return asked.result(outcome(step, Any))


async def receive(name: str, *, timeout_s: float | None = None) -> Any:
    """Wait for the event `name` to be sent to this run; return its data.

    Raises:
        TimedOut: it did not come in time.
        WorkflowError: it is not called in the body of a workflow.
        ValueError: `timeout_s` is negative, or no number.
    """
    _check(timeout_s, "wait for")
    inside = scope.required("headway.receive")
    run, path = inside.run, inside.reserve(name)
    due_at = None if timeout_s is None else run.services.clock() + timeout_s
    return outcome(await _wait(run, path, "event", None, due_at), Any)


async def child(
    run: Execution, workflow: Workflow[..., Any], path: str, arguments: Mapping[str, Any]
) -> Any:
    """Start a run of its own as the step at `path`, and return what it returns.

    Its id follows from the path, so that it is started once.
    """
    services = run.services
    text = values.to_json(arguments, f"the input of {workflow.name}")
    own_id = child_of(run.row.id, path)
    now = services.clock()
    started = RunRow(
        id=own_id,
        workflow=workflow.name,
        definition=workflow.hash,
        input_json=text,
        tier=run.row.tier,
        created_at=now,
        deadline_at=run.row.deadline_at,
        parent_run=run.row.id,
        parent_path=path,
    )
    fingerprint = values.fingerprint(workflow.name, (), arguments)

    definition = services.catalog.definition(workflow)

    async def begin(step: StepRow) -> StepRow:
        services.catalog.keep(workflow)
        begun = await services.journal.begin_child(step, run.row.fence, started, definition)
        services.wake()
        return begun

    step = await _wait(run, path, "run", None, None, fingerprint, begin)
    return outcome(step, values.returned(workflow.function))


def child_of(run: str, path: str) -> str:
    """The id of the run that a run starts at the step `path`."""
    return f"{run}.{uuid.uuid5(uuid.NAMESPACE_OID, path).hex[:8]}"


async def _wait(
    run: Execution,
    path: str,
    kind: str,
    question_json: str | None,
    due_at: float | None,
    fingerprint: str = "",
    begin: Callable[[StepRow], Awaitable[StepRow]] | None = None,
) -> StepRow:
    """The step at `path`, once it has ended; `begin` begins it, if more is to be done than wait."""
    inside = scope.current()
    if inside is None or inside.task is not asyncio.current_task():
        raise errors.WorkflowError(
            f"{path} is awaited in a task of its own, which is gone when the run is put down; use "
            "headway.gather(…), and timeout_s= instead of asyncio.wait_for"
        )
    step = run.remembered(path, kind, fingerprint)
    if step is None or not step.state.ended:
        await run.may_begin()
        wanted = step or StepRow(
            run.row.id,
            path,
            kind,
            StepState.WAITING,
            fingerprint,
            question_json=question_json,
            due_at=due_at,
            started_at=run.services.clock(),
        )
        if begin is None:
            step = await run.written(run.services.journal.wait(wanted, run.row.fence))
        else:
            step = await run.written(begin(wanted))
        run.known[path] = step
    if step.state.ended:
        return step
    timer = asyncio.create_task(_expire(run, step)) if step.due_at is not None else None
    try:
        return await run.park(step)
    finally:
        if timer is not None:
            timer.cancel()


def _check(seconds: float | None, what: str) -> None:
    if seconds is not None and not 0 <= seconds <= LONGEST_S:
        raise ValueError(f"cannot {what} {seconds} s: it is from 0 to 100 years")


async def _expire(run: Execution, step: StepRow) -> None:
    """End a wait when it is due, unless it is answered before."""
    assert step.due_at is not None
    while (left_s := step.due_at - run.services.clock()) > 0:
        await asyncio.sleep(min(left_s, LONGEST_TIMER_S))
    if step.kind == "timer":
        over = replace(step, state=StepState.FINISHED, output_json="null")
    else:
        error = errors.TimedOut(f"nobody answered {step.path} in time")
        over = replace(step, state=StepState.FAILED, error_json=errors.to_json(error))
    over = replace(over, ended_at=run.services.clock())
    with suppress(asyncio.CancelledError):  # another worker has the run
        run.ended(await run.written(run.services.journal.expire(over, run.row.fence)))
