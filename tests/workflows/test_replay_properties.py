"""Random workflows that are interrupted at random steps end as if nothing had happened."""

from __future__ import annotations

import asyncio
import json
import tempfile
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.workflows.conftest import Bench

import headway
from headway.store.sqlite import SqliteConnection
from headway.workflows import scope
from headway.workflows.catalog import Catalog
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import RunRow
from headway.workflows.journal.schema import prepare
from headway.workflows.starting import start

Step = tuple[str, str]
"""A run and a path."""

began: list[Step] = []
interrupt_at: list[int] = []
stop = asyncio.Event()

Program = list[Any]
"""What a body does, in order: ["task", n], ["fails", n], ["nested", n], ["thread", n], ["wait"],
["gather", limit, [program, …]], ["child", program], ["try", program]."""


def count() -> None:
    """Note which step began."""
    inside = scope.current()
    assert inside is not None
    began.append((inside.run.row.id, inside.path.rpartition("~")[0]))
    if interrupt_at and len(began) >= interrupt_at[0]:
        interrupt_at.pop(0)
        stop.set()


@headway.task
async def add(number: int) -> int:
    count()
    await asyncio.sleep(0)
    return number + 1


@headway.task
async def fails(number: int) -> int:
    count()
    raise ValueError(f"no {number}")


@headway.task
async def nested(number: int) -> int:
    count()
    return sum(await headway.gather(add(number), add(number + 1)))


@headway.task
def threaded(number: int) -> int:
    inside = scope.current()
    assert inside is not None
    began.append((inside.run.row.id, inside.path.rpartition("~")[0]))
    return number * 3


@headway.workflow
async def program(does: Program) -> list[Any]:
    return await run(does)


async def run(does: Program) -> list[Any]:
    """Do it, and return the results."""
    results: list[Any] = []
    for kind, *rest in does:
        if kind in TASKS:
            results.append(await TASKS[kind](rest[0]))
        elif kind == "wait":
            results.append(await headway.ask("Well?"))
        elif kind == "gather":
            limit, branches = rest
            results.append(await headway.map(run, branches, limit=limit))
        elif kind == "child":
            results.append(await program(rest[0]))
        else:
            try:
                results.append(await run(rest[0]))
            except ValueError as error:
                results.append(str(error))
    return results


TASKS: dict[str, Any] = {"task": add, "fails": fails, "nested": nested, "thread": threaded}


def expected(does: Program) -> list[Any]:
    """What it returns. Raises ValueError."""
    results: list[Any] = []
    for kind, *rest in does:
        if kind == "task":
            results.append(rest[0] + 1)
        elif kind == "nested":
            results.append(2 * rest[0] + 3)
        elif kind == "thread":
            results.append(rest[0] * 3)
        elif kind == "fails":
            raise ValueError(f"no {rest[0]}")
        elif kind == "wait":
            results.append(True)
        elif kind == "gather":
            results.append([expected(one) for one in rest[1]])
        elif kind == "child":
            results.append(expected(rest[0]))
        else:
            try:
                results.append(expected(rest[0]))
            except ValueError as error:
                results.append(str(error))
    return results


numbers = st.integers(0, 1_000_000)
calls = st.one_of(
    st.tuples(st.sampled_from(["task", "task", "nested", "thread"]), numbers).map(list),
    st.just(["wait"]),
)
bodies = st.recursive(
    st.lists(calls, max_size=3),
    lambda inner: st.lists(
        st.one_of(
            calls,
            st.tuples(
                st.just("gather"), st.integers(1, 3), st.lists(inner, min_size=1, max_size=3)
            ).map(list),
            st.tuples(st.just("child"), inner).map(list),
            # The failure comes last: which of several branches fails first is left to chance.
            inner.flatmap(
                lambda body: numbers.map(lambda number: ["try", [*body, ["fails", number]]])
            ),
        ),
        max_size=3,
    ),
    max_leaves=8,
)


@settings(max_examples=8, deadline=None)
@given(bodies, st.lists(st.integers(1, 4), max_size=4))
def test_interrupted_programs_return_the_same_and_finished_steps_run_once(
    does: Program, moments: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr("headway.workflows.execution.LINGER_S", 0.0)
        patch.setattr("headway.workflows.worker.GRACE_S", 0.0)
        patch.setattr("headway.workflows.worker.POLL_S", 0.01)
        row, twice = asyncio.run(interrupted(Path(folder), does, moments))
    assert (row.state, row.output_json) == ("finished", json.dumps(expected(does)))
    assert twice == []


async def interrupted(folder: Path, does: Program, moments: list[int]) -> tuple[RunRow, list[Step]]:
    """How the run ends, and the steps that began after they had ended."""
    global stop
    stop = asyncio.Event()
    began.clear()
    interrupt_at[:] = accumulate(moments)
    journal = Journal(lambda: SqliteConnection(folder / "workflows.db", prepare))
    bench = Bench(journal)
    row = await start(journal, Catalog(), program, {"does": does})
    ended: set[Step] = set()
    twice: list[Step] = []
    try:
        async with asyncio.timeout(60):
            while not row.state.ended and row.state != "blocked":
                known = len(began)
                async with bench.working(program):
                    waits = [
                        asyncio.create_task(stop.wait()),
                        asyncio.create_task(answered(journal, row.id)),
                    ]
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                    for one in waits:
                        one.cancel()
                stop.clear()
                twice += [step for step in began[known:] if step in ended]
                for run_ in await journal.runs(most=1000):
                    steps = await journal.steps(run_.id)
                    ended |= {(run_.id, path) for path, one in steps.items() if one.state.ended}
                row = await journal.run(row.id)
        return row, twice
    finally:
        journal.close()


async def answered(journal: Journal, run_: str) -> None:
    """Answer all that is asked until the run has ended."""
    while not (row := await journal.run(run_)).state.ended and row.state != "blocked":
        for one in await journal.questions():
            await journal.answer(one.run, one.path, '{"accepted": true, "value": null}', "ada")
        await asyncio.sleep(0.002)
