"""Branches of a run that go on at a time: `headway.gather` and `headway.map`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from headway.workflows import errors, scope
from headway.workflows.errors import WorkflowError
from headway.workflows.journal.rows import StepRow, StepState
from headway.workflows.scope import Scope

if TYPE_CHECKING:
    from headway.workflows.execution import Execution

Item = TypeVar("Item")
Result = TypeVar("Result")


async def gather(
    *work: Awaitable[Any], limit: int | None = None, return_exceptions: bool = False
) -> list[Any]:
    """Await several things at a time; return their results in order.

    What they do has names of its own in each branch, so a run that goes on finds it again,
    however the branches interleave. asyncio.gather may be used for calls of tasks alone.

    Args:
        work: calls of tasks, of workflows, or coroutines that make several of them.
        limit: how many go on at a time.
        return_exceptions: return exceptions in the place of results; otherwise the first one
            cancels the other branches and is raised.

    Raises:
        ValueError: `limit` is below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; it must be at least 1")
    try:
        return await _gather(work, limit, return_exceptions)
    finally:
        for one in work:  # those that never began
            if inspect.iscoroutine(one):
                one.close()


async def _gather(
    work: Sequence[Awaitable[Any]], limit: int | None, return_exceptions: bool
) -> list[Any]:
    inside = scope.current()
    if inside is None:
        return await _together([_plain(one) for one in work], limit, return_exceptions)
    run, path = inside.run, inside.reserve("gather")
    if not inside.is_branch:
        branches = [_branch(inside, f"{path}[{number}]", one) for number, one in enumerate(work)]
        return await _together(branches, limit, return_exceptions, run)
    known = run.remembered(path, "gather", "")
    if known is not None and known.state.ended:  # its other branches were cancelled then
        raise errors.from_json(known.error_json or "")
    began_at = run.services.clock()
    branches = [_branch(inside, f"{path}[{number}]", one) for number, one in enumerate(work)]
    try:
        with run.gathering():
            return await _together(branches, limit, return_exceptions, run)
    except Exception as error:
        await _keep(run, path, began_at, error)
        raise


async def _keep(run: Execution, path: str, began_at: float, error: Exception) -> None:
    """Write which error ended a gather: its cancelled branches do not run again to find out."""
    written = errors.to_json(error)
    if type(errors.from_json(written)) is not type(error):
        return  # the workflow could not catch it again
    await run.write(
        StepRow(
            run.row.id,
            path,
            "gather",
            StepState.FAILED,
            error_json=written,
            started_at=began_at,
            ended_at=run.services.clock(),
        )
    )


async def named(work: Mapping[str, Coroutine[Any, Any, Any]]) -> None:
    """Await several things at a time, whose steps are named by their names; the first error ends.

    Args:
        work: what goes on, by name.
    """
    inside = scope.current()
    if inside is None:
        await _together(list(work.values()), None, False)
        return
    run = inside.run
    branches = [_branch(inside, inside.reserve(name), one) for name, one in work.items()]
    with run.gathering():
        await _together(branches, None, False, run)


async def map_(
    function: Callable[[Item], Awaitable[Result]], items: Iterable[Item], *, limit: int = 16
) -> list[Result]:
    """What `function` returns for each item, in order; up to `limit` at a time.

    Args:
        function: a task, a workflow, or an async function that calls several of them.
        items: its arguments.
        limit: how many go on at a time.
    """
    return await gather(*(_later(function, item) for item in items), limit=limit)


async def _later(function: Callable[[Item], Awaitable[Result]], item: Item) -> Result:
    return await function(item)  # called in the branch: its steps have their names there


async def _plain(work: Awaitable[Any]) -> Any:
    return await work


async def _branch(parent: Scope, path: str, work: Awaitable[Any]) -> Any:
    own = Scope(parent.run, path, is_branch=parent.is_branch, tier=parent.tier, holds=parent.holds)
    if not own.is_branch:
        with own.entered(), errors.without_exit():
            return await work
    with own.entered(), parent.run.branch(), errors.without_exit():
        return await work


async def _together(
    branches: list[Any],
    limit: int | None,
    return_exceptions: bool,
    run: Execution | None = None,
) -> list[Any]:
    results: list[Any] = [None] * len(branches)
    waiting = list(enumerate(branches))[::-1]
    running: dict[asyncio.Task[Any], int] = {}
    try:
        while waiting or running:
            while waiting and (limit is None or len(running) < limit):
                number, branch = waiting.pop()
                running[asyncio.create_task(branch)] = number
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=running.__getitem__):
                number = running.pop(task)
                if task.cancelled():
                    if run is not None and run.interrupted:
                        raise asyncio.CancelledError
                    raise WorkflowError(f"branch {number} was cancelled from inside")
                error = task.exception()
                if error is not None and not return_exceptions:
                    raise error
                results[number] = task.result() if error is None else error
    finally:
        for _, branch in waiting:
            branch.close()
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
    return results
