"""Steps that run: tasks with their attempts, calls of models, values of chance or a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headway.workflows import errors, scope, values
from headway.workflows.definition import Task, called
from headway.workflows.failures import backoff_s, worth_retrying
from headway.workflows.grants import NOTHING
from headway.workflows.journal.rows import StepRow, StepState
from headway.workflows.llm import Answer
from headway.workflows.scope import Scope

if TYPE_CHECKING:
    from headway.workflows.execution import Execution


async def perform(
    run: Execution,
    task: Task[..., Any],
    path: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    """What a task returns: from the journal, or by running it until an attempt succeeds.

    Raises:
        Exception: what the last attempt raised, or its fallback.
    """
    fingerprint = values.fingerprint(task.name, args, kwargs)
    step = run.remembered(path, "task", fingerprint)
    type_ = values.returned(task.function)
    if step is not None and step.state.ended:
        return outcome(step, type_)
    attempt = 1 if step is None else step.attempt
    async with run.working():
        step = StepRow(
            run.row.id,
            path,
            "task",
            StepState.RUNNING,
            fingerprint,
            attempt=attempt,
            due_at=None if step is None else step.due_at,
            started_at=run.services.clock() if step is None else step.started_at,
        )
        while True:
            await _wait_until(run, step.due_at)
            try:
                if step.attempt > task.settings.retries + 1:
                    return await _ended(run, step, _fallback(run, task, path, args, kwargs), type_)
                return await _ended(run, step, _attempt(run, task, step, args, kwargs), type_)
            except Exception as error:
                step = _after(run, task, step, error)
                await run.write(step)
                if step.state is StepState.FAILED:
                    raise errors.from_json(step.error_json or "") from error


async def _ended(run: Execution, step: StepRow, work: Awaitable[Any], type_: Any) -> Any:
    """Run one attempt, keep what it returned, and return that as a replay would."""
    result = await work
    text = values.to_json(result, f"what {step.path} returned")
    value = values.from_json(text, type_)
    await run.write(
        replace(
            step,
            state=StepState.FINISHED,
            output_json=text,
            error_json=None,
            due_at=None,
            ended_at=run.services.clock(),
        )
    )
    return value


def _after(run: Execution, task: Task[..., Any], step: StepRow, error: Exception) -> StepRow:
    """The step after a failed attempt: waits for its next one, or has failed."""
    settings, now = task.settings, run.services.clock()
    written = errors.to_json(error)
    left = settings.retries + 1 - step.attempt
    if left > 0 and worth_retrying(error):
        after_s = getattr(error, "retry_after_s", None)
        wait_s = backoff_s(step.attempt, settings.backoff_s, settings.max_backoff_s, after_s)
        return replace(step, attempt=step.attempt + 1, error_json=written, due_at=now + wait_s)
    if settings.fallback is not None and left >= 0:
        return replace(step, attempt=settings.retries + 2, error_json=written, due_at=None)
    return replace(step, state=StepState.FAILED, error_json=written, due_at=None, ended_at=now)


async def _attempt(
    run: Execution,
    task: Task[..., Any],
    step: StepRow,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    settings = task.settings
    tier = settings.tier if settings.tier is not None else run.workflow.tier
    outer = scope.current()
    holds = outer is not None and outer.holds
    if holds and settings.needs != NOTHING:
        raise errors.WorkflowError(
            f"{step.path} needs resources within a task that holds some: two such tasks could wait "
            "for each other for ever; state all that is needed at the outer one"
        )
    async with (
        run.services.breakers.passed(task.name, f"{run.row.id}/{step.path}"),
        run.services.grants.held(tier, settings.needs),
    ):
        await run.may_begin()
        run.note(step)
        try:
            async with asyncio.timeout(settings.timeout_s) as limit:
                with Scope(
                    run,
                    f"{step.path}~{step.attempt}",
                    is_branch=False,
                    tier=tier,
                    holds=holds or settings.needs != NOTHING,
                ).entered():
                    return await called(task.function, *args, **kwargs)
        except TimeoutError:
            if limit.expired():
                raise errors.TimedOut(
                    f"{step.path} took longer than {settings.timeout_s:g} s"
                ) from None
            raise


async def _fallback(
    run: Execution,
    task: Task[..., Any],
    path: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    assert task.settings.fallback is not None
    tier = task.settings.tier
    with Scope(run, f"{path}~fallback", is_branch=False, tier=tier).entered():
        return await called(task.settings.fallback, *args, **kwargs)


async def _wait_until(run: Execution, due_at: float | None) -> None:
    if due_at is not None:
        # No longer than was meant, should the clock have jumped back.
        await asyncio.sleep(min(max(0.0, due_at - run.services.clock()), 3600.0))


async def once(
    run: Execution,
    path: str,
    kind: str,
    fingerprint: str,
    work: Callable[[], Awaitable[Any]],
    type_: Any,
    *,
    asked_json: str | None = None,
) -> Any:
    """What `work` returns, kept: a call of a model, or a value that would come out otherwise.

    Raises:
        Exception: what `work` raises, kept likewise.
    """
    step = run.remembered(path, kind, fingerprint)
    if step is not None and step.state.ended:
        return outcome(step, type_)
    async with run.working():
        step = StepRow(
            run.row.id,
            path,
            kind,
            StepState.RUNNING,
            fingerprint,
            question_json=asked_json,
            started_at=run.services.clock(),
        )
        if kind != "value":
            run.note(step)
        try:
            result = await work()
            text = values.to_json(result, f"what {path} returned")
        except Exception as error:
            written = errors.to_json(error)
            await run.write(
                replace(
                    step,
                    state=StepState.FAILED,
                    error_json=written,
                    ended_at=run.services.clock(),
                )
            )
            raise errors.from_json(written) from error
        if isinstance(result, Answer):
            step = replace(
                step,
                model=result.model,
                prompt_tokens=result.prompt_tokens,
                output_tokens=result.output_tokens,
            )
        step = replace(
            step, state=StepState.FINISHED, output_json=text, ended_at=run.services.clock()
        )
        inside = scope.current()
        if inside is not None and not inside.is_branch:
            # In a task, whose end shares the commit, or in 20 ms: one wait for the disk, not two.
            run.note(step)
        else:
            await run.write(step)
        return values.from_json(text, type_)


def outcome(step: StepRow, type_: Any) -> Any:
    """What a step that has ended returned. Raises what it raised."""
    if step.state is StepState.FAILED:
        raise errors.from_json(step.error_json or "")
    return values.from_json(step.output_json or "null", type_)
