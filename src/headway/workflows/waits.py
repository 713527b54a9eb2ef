"""Waits that last: for a time, a person, an event, another run. What waits is a row."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from headway.workflows import errors, notices, scope, values
from headway.workflows.definition import Workflow
from headway.workflows.journal.errors import LostRun
from headway.workflows.journal.rows import RunRow, StepRow, StepState
from headway.workflows.question import Question
from headway.workflows.steps import once, outcome

if TYPE_CHECKING:
    from headway.workflows.execution import Execution

LONGEST_TIMER_S = 60.0
"""Looks at the clock so often: it may jump."""


async def sleep(seconds: float) -> None:
    """Wait for `seconds`, through restarts, too.

    Raises:
        WorkflowError: it is not called in the body of a workflow.
        ValueError: `seconds` is negative.
    """
    if seconds < 0:
        raise ValueError(f"cannot sleep for {seconds} s")
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
    choices: Sequence[str] = (),
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
        timeout_s: how long to wait.
        default: what to return when the time is over; without it TimedOut is raised.
        notify: a URL that gets the question, once, signed with HEADWAY_WEBHOOK_SECRET.

    Raises:
        Rejected: the person said no.
        TimedOut: nobody answered in time.
        WorkflowError: it is not called in the body of a workflow, or `notify` failed.
    """
    asked = Question(question, tuple(choices), edit, about)
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
            lambda: notices.send(notify, run.row.id, path, text),
            Any,
        )
    step = await _wait(run, path, "person", text, due_at)
    if step.state is StepState.FAILED and default is not ...:
        return default
    return asked.result(outcome(step, Any))


async def receive(name: str, *, timeout_s: float | None = None) -> Any:
    """Wait for the event `name` to be sent to this run; return its data.

    Raises:
        TimedOut: it did not come in time.
        WorkflowError: it is not called in the body of a workflow.
    """
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
    own_id = f"{run.row.id}.{uuid.uuid5(uuid.NAMESPACE_OID, path).hex[:8]}"
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

    async def start() -> None:
        services.catalog.keep(workflow)
        await services.journal.add(started, services.catalog.definition(workflow))
        services.wake()

    step = await _wait(run, path, "run", None, None, fingerprint, start)
    return outcome(step, values.returned(workflow.function))


async def _wait(
    run: Execution,
    path: str,
    kind: str,
    question_json: str | None,
    due_at: float | None,
    fingerprint: str = "",
    start: Any = None,
) -> StepRow:
    """The step at `path`, once it has ended."""
    inside = scope.current()
    stands = inside is not None and inside.task is asyncio.current_task()
    step = run.remembered(path, kind, fingerprint)
    if step is None or not step.state.ended:
        if run.stopping:
            raise asyncio.CancelledError
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
        try:
            step = await run.services.journal.wait(wanted, run.row.fence)
            run.known[path] = step
            if start is not None:
                await start()
        except LostRun:
            run.lose()
    assert step is not None
    if step.state.ended:
        return step
    timer = asyncio.create_task(_expire(run, step)) if step.due_at is not None else None
    try:
        return await run.park(step, stands=stands)
    finally:
        if timer is not None:
            timer.cancel()


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
    try:
        run.ended(await run.services.journal.expire(over, run.row.fence))
    except LostRun:
        run.interrupt("lost")
