"""Runs end right whatever happens to their workers, and no finished step runs twice."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import pytest
from tests.workflows.conftest import Bench

import headway
from headway.workflows.errors import StepFailed, TimedOut
from headway.workflows.journal.errors import Finished
from headway.workflows.journal.rows import RunState

calls: list[Any] = []
gates: dict[str, asyncio.Event] = {}


@pytest.fixture(autouse=True)
def fresh() -> None:
    calls.clear()
    gates.clear()


@headway.task
async def double(number: int) -> int:
    calls.append(number)
    return 2 * number


@headway.workflow
async def chain(numbers: list[int]) -> int:
    total = 0
    for number in numbers:
        total += await double(number)
    return total


@headway.workflow
async def branches(count: int) -> list[int]:
    async def two(number: int) -> int:
        return await double(await double(number))

    return await headway.map(two, range(count), limit=3)


@headway.task(retries=2, backoff_s=0.001)
async def flaky(number: int) -> int:
    calls.append(number)
    if len(calls) < 3:
        raise ConnectionError("away")
    return number


@headway.task(retries=5, backoff_s=0.001)
async def broken() -> None:
    calls.append("broken")
    raise TypeError("wrong for good")


async def test_a_run_returns_what_its_workflow_returns(bench: Bench) -> None:
    row = await bench.result(chain, numbers=[1, 2, 3])
    assert (row.state, row.output_json) == (RunState.FINISHED, "12")
    assert calls == [1, 2, 3]
    assert list(await bench.journal.steps(row.id)) == ["double", "double#2", "double#3"]


async def test_branches_have_steps_of_their_own_names(bench: Bench) -> None:
    row = await bench.result(branches, count=4)
    assert json.loads(row.output_json or "") == [0, 4, 8, 12]
    assert set(await bench.journal.steps(row.id)) == {
        f"gather[{number}]/{step}" for number in range(4) for step in ("double", "double#2")
    }


@headway.task
async def slow(number: int) -> int:
    calls.append(number)
    await gates["slow"].wait()
    return number


@headway.workflow
async def mixed() -> list[int]:
    async def quick(number: int) -> int:
        return await double(await double(number))

    return await headway.gather(quick(1), slow(7), quick(2))


async def test_a_worker_that_stops_leaves_the_run_to_the_next_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.workflows.worker.GRACE_S", 0.0)
    gates["slow"] = asyncio.Event()
    async with bench.working(mixed):
        row = await bench.start(mixed)
        await bench.until(
            row.id, steps=lambda steps: sum(one.state.ended for one in steps.values()) == 4
        )
    assert (await bench.journal.run(row.id)).state is RunState.READY
    before = list(calls)
    gates["slow"].set()
    async with bench.working(mixed):
        row = await bench.until(row.id, "finished")
    assert json.loads(row.output_json or "") == [4, 7, 8]
    assert calls[len(before) :] == [7]  # only what had not ended


async def test_a_task_is_tried_again_on_what_may_pass(bench: Bench) -> None:
    @headway.workflow
    async def work() -> int:
        return await flaky(5)

    row = await bench.result(work)
    assert row.output_json == "5"
    assert calls == [5, 5, 5]
    assert (await bench.journal.steps(row.id))["flaky"].attempt == 3


async def test_a_task_is_not_tried_again_on_an_error_of_the_program(bench: Bench) -> None:
    @headway.workflow
    async def work() -> None:
        await broken()

    row = await bench.result(work)
    assert row.state is RunState.FAILED
    assert json.loads(row.error_json or "")["message"] == "wrong for good"
    assert calls == ["broken"]


async def test_a_fallback_answers_once_all_attempts_failed(bench: Bench) -> None:
    async def other(number: int) -> str:
        return f"instead {await double(number)}"

    @headway.task(retries=1, backoff_s=0.001, fallback=other)
    async def fails(number: int) -> str:
        calls.append("fails")
        raise ConnectionError

    @headway.workflow
    async def work() -> str:
        return await fails(4)

    row = await bench.result(work)
    assert row.output_json == '"instead 8"'
    assert calls == ["fails", "fails", 4]


async def test_a_task_that_takes_too_long_fails(bench: Bench) -> None:
    @headway.task(timeout_s=0.01)
    async def endless() -> None:
        await asyncio.Event().wait()

    @headway.workflow
    async def work() -> str:
        try:
            await endless()
        except TimedOut as error:
            return str(error)
        return "?"

    row = await bench.result(work)
    assert row.output_json == '"endless took longer than 0.01 s"'


async def test_a_workflow_catches_the_same_error_when_it_goes_on(bench: Bench) -> None:
    class Odd(Exception):
        """Can't be made again: it is defined in a function."""

    @headway.task
    async def fails(kind: str) -> None:
        calls.append(kind)
        raise ValueError("no number") if kind == "value" else Odd("odd")

    @headway.workflow
    async def work() -> list[str]:
        caught = []
        for kind in ("value", "odd"):
            try:
                await fails(kind)
            except (ValueError, StepFailed) as error:
                caught.append(f"{type(error).__name__}: {error}")
        caught.append(str(await headway.receive("go")))
        return caught

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, "waiting")
        await bench.journal.answer(row.id, "go", '"went"', "test", kind="event")
        row = await bench.until(row.id, "finished")
    first, second, third = json.loads(row.output_json or "")
    assert first == "ValueError: no number"
    assert second.startswith("StepFailed: ") and second.endswith("Odd: odd")
    assert third == "went"
    assert calls == ["value", "odd"]


async def test_steps_left_to_chance_are_refused(bench: Bench) -> None:
    async def two(number: int) -> int:
        return await double(await double(number))

    @headway.workflow
    async def work() -> None:
        await asyncio.gather(two(1), two(2))

    row = await bench.result(work)
    assert "use headway.gather" in json.loads(row.error_json or "")["message"]


async def test_calls_of_tasks_alone_may_be_gathered_by_asyncio(bench: Bench) -> None:
    @headway.workflow
    async def work() -> list[int]:
        return list(await asyncio.gather(double(1), double(2)))

    assert (await bench.result(work)).output_json == "[2, 4]"


@pytest.mark.filterwarnings("error")
async def test_branches_that_an_error_keeps_from_beginning_are_closed(bench: Bench) -> None:
    @headway.workflow
    async def mapped() -> list[None]:
        return await headway.map(lambda _: broken(), range(3), limit=1)

    with pytest.raises(TypeError, match="wrong for good"):
        await mapped()
    row = await bench.result(mapped)
    assert (row.state, calls) == (RunState.FAILED, ["broken", "broken"])
    gc.collect()


async def test_a_result_that_json_cannot_hold_is_refused(bench: Bench) -> None:
    @headway.task
    async def odd() -> Any:
        return {1: {2, 3}, "x": object()}

    @headway.workflow
    async def work() -> None:
        await odd()

    row = await bench.result(work)
    assert "what odd returned cannot be stored" in json.loads(row.error_json or "")["message"]


async def test_not_a_number_is_refused_and_not_stored_as_null(bench: Bench) -> None:
    @headway.workflow
    async def work() -> float:
        return float("nan")

    row = await bench.result(work)
    assert row.state is RunState.FAILED


async def test_a_child_is_a_run_of_its_own(bench: Bench) -> None:
    @headway.workflow
    async def parent() -> int:
        return 1 + await chain([3, 4])

    async with bench.working(parent, chain):
        row = await bench.start(parent)
        row = await bench.until(row.id, "finished")
    assert row.output_json == "15"
    [child] = [one for one in await bench.journal.runs() if one.parent_run == row.id]
    assert (child.workflow, child.parent_path) == ("chain", "chain")


async def test_a_run_that_is_cancelled_ends_with_its_children(bench: Bench) -> None:
    gates["slow"] = asyncio.Event()

    @headway.workflow
    async def inner() -> int:
        return await slow(1)

    @headway.workflow
    async def outer() -> int:
        return await inner()

    async with bench.working(outer, inner):
        row = await bench.start(outer)
        await bench.until(row.id, "waiting")
        [child] = [one for one in await bench.journal.runs() if one.parent_run == row.id]
        await bench.until(child.id, steps=lambda steps: "slow" in steps)
        await bench.journal.cancel(row.id)
        assert (await bench.until(row.id, "cancelled")).state is RunState.CANCELLED
        assert (await bench.until(child.id, "cancelled")).state is RunState.CANCELLED


async def test_a_run_tried_again_keeps_what_had_finished(bench: Bench) -> None:
    gates["slow"] = asyncio.Event()
    failing = [True]

    @headway.task
    async def sometimes() -> int:
        calls.append("sometimes")
        if failing[0]:
            raise TypeError("not today")
        return 9

    @headway.workflow
    async def work() -> int:
        return await double(1) + await sometimes() + await double(2)

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, "failed")
        failing[0] = False
        await bench.journal.again(row.id, None, None)
        row = await bench.until(row.id, "finished")
        assert row.output_json == "15"
        assert calls == [1, "sometimes", "sometimes", 2]
        with pytest.raises(Finished, match="name the step"):
            await bench.journal.again(row.id, None, None)
        await bench.journal.again(row.id, "sometimes", None)
        row = await bench.until(row.id, "finished")
        assert calls == [1, "sometimes", "sometimes", 2, "sometimes", 2]
