"""Branches of a run that go on at a time: `headway.gather` and `headway.map`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from headway.workflows import scope
from headway.workflows.errors import WorkflowError
from headway.workflows.scope import Scope

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
        return await _gathered(work, limit, return_exceptions)
    finally:
        for one in work:  # those that an error kept from beginning
            if isinstance(one, Coroutine):
                one.close()


async def _gathered(
    work: Sequence[Awaitable[Any]], limit: int | None, return_exceptions: bool
) -> list[Any]:
    inside = scope.current()
    if inside is None:
        return await _together([_plain(one) for one in work], limit, return_exceptions)
    path = inside.reserve("gather")
    branches = [_branch(inside, f"{path}[{number}]", one) for number, one in enumerate(work)]
    if not inside.is_branch:
        return await _together(branches, limit, return_exceptions)
    with inside.run.gathering():
        return await _together(branches, limit, return_exceptions)


async def named(work: Mapping[str, Coroutine[Any, Any, Any]]) -> None:
    """Await several things at a time, whose steps are named by their names; the first error ends.

    Args:
        work: what goes on, by name.
    """
    inside = scope.current()
    if inside is None:
        await _together(list(work.values()), None, False)
        return
    branches = [_branch(inside, inside.reserve(name), one) for name, one in work.items()]
    with inside.run.gathering():
        await _together(branches, None, False)


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
    own = Scope(parent.run, path, is_branch=parent.is_branch, tier=parent.tier)
    if not own.is_branch:
        with own.entered():
            return await work
    with own.entered(), parent.run.branch():
        return await work


async def _together(branches: list[Any], limit: int | None, return_exceptions: bool) -> list[Any]:
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
