"""What goes wrong around a run: nothing is lost, nothing runs twice, and nothing hangs."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.workflows.conftest import Bench
from tests.workflows.nested import (
    begin_anew,
    calls,
    double,
    gates,
    held,
    inner,
    message,
    sometimes,
)

import headway
from headway.workflows.journal.rows import RunState
from headway.workflows.question import Question
from headway.workflows.values import fingerprint


@pytest.fixture(autouse=True)
def fresh() -> None:
    begin_anew()


async def test_a_worker_that_stops_lets_the_steps_of_all_branches_end(bench: Bench) -> None:
    gates["held"] = asyncio.Event()
    go_on = asyncio.Event()

    @headway.workflow
    async def work() -> list[Any]:
        async def another() -> int:
            await go_on.wait()
            return await double(1)

        return await headway.gather(held(7), another())

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, steps=lambda steps: "held" in steps)
        asyncio.get_running_loop().call_later(0.05, go_on.set)  # while the worker stops
        asyncio.get_running_loop().call_later(0.2, gates["held"].set)
    assert (await bench.journal.run(row.id)).state is RunState.READY
    async with bench.working(work):
        row = await bench.until(row.id, "finished", "failed")
    assert row.output_json == "[7, 2]"
    assert calls == [7, 1]  # the one that ran was let to end


async def test_branches_that_a_failure_cancelled_do_not_run_again(bench: Bench) -> None:
    gates["held"] = asyncio.Event()

    @headway.workflow
    async def work() -> str:
        try:
            await headway.gather(held(7), sometimes())
        except TypeError as error:
            await headway.receive("go")
            return f"caught {error}"
        return "?"

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, "waiting")
        await bench.journal.answer(row.id, "go", "1", "test", kind="event")
        row = await bench.until(row.id, "finished")
    assert row.output_json == '"caught not today"'
    assert calls == [7, "sometimes"]


async def test_steps_left_alone_end_with_their_run(bench: Bench) -> None:
    gates["held"] = asyncio.Event()
    ended = []

    @headway.task
    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")

    @headway.workflow
    async def work() -> int:
        alone = asyncio.create_task(endless())
        result = await double(1)
        assert not alone.done()
        return result

    row = await bench.result(work)
    assert (row.state, ended) == (RunState.FINISHED, ["endless"])


async def test_waits_in_tasks_of_their_own_are_refused(bench: Bench) -> None:
    @headway.workflow
    async def work() -> None:
        await asyncio.gather(inner(1), inner(2))

    row = await bench.result(work)
    assert "use headway.gather" in message(row)


async def test_a_thread_that_cannot_be_stopped_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.workflows.worker.GRACE_S", 0.0)
    go_on, running = threading.Event(), []

    @headway.task
    def plain() -> int:
        running.append("began")
        go_on.wait(10)
        running.append("ended")
        return 3

    @headway.workflow
    async def work() -> int:
        return await plain()

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, steps=lambda steps: "plain" in steps)
        threading.Timer(0.3, go_on.set).start()
    assert running == ["began", "ended"]  # before another worker could begin it
    assert (await bench.journal.run(row.id)).state is RunState.READY


async def test_a_step_that_calls_exit_fails_and_the_worker_lives(bench: Bench) -> None:
    @headway.task
    async def leaves() -> None:
        raise SystemExit(3)

    @headway.workflow
    async def work() -> None:
        await leaves()

    @headway.workflow
    async def leaving() -> None:
        raise SystemExit(4)

    async with bench.working(work, leaving, inner):
        first, second = await bench.start(work), await bench.start(leaving)
        assert "ended the program, with status 3" in message(await bench.until(first.id, "failed"))
        assert "ended the program, with status 4" in message(await bench.until(second.id, "failed"))


async def test_a_workflow_that_catches_its_cancellation_is_put_down_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.workflows.execution.PATIENCE_S", 0.02)
    go_on = [True]

    @headway.workflow
    async def work() -> str:
        while go_on[0]:
            try:
                return str(await headway.ask("Well?"))
            except BaseException as error:
                calls.append(error)
        return "?"

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, "waiting")
        await bench.journal.answer(row.id, "ask", Question("").accept(), "ada")
        row = await bench.until(row.id, "finished")
        go_on[0] = False
    assert row.output_json == '"True"'


async def test_a_task_that_runs_again_may_do_something_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.workflows.worker.GRACE_S", 0.0)
    gates["held"] = asyncio.Event()

    @headway.task
    async def reads() -> int:
        calls.append("reads")
        read = await double(calls.count("reads"))  # as from a file that changes
        await held(0)
        return read

    @headway.workflow
    async def work() -> int:
        return await reads()

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, steps=lambda steps: "reads~1/held" in steps)
    gates["held"].set()
    async with bench.working(work):
        row = await bench.until(row.id, "finished", "blocked")
    assert row.output_json == "4"


async def test_the_answer_to_another_question_is_not_taken(bench: Bench) -> None:
    texts = iter(["Delete the old file?", "Delete the database?"])

    @headway.workflow
    async def work() -> bool:
        return bool(await headway.ask(next(texts)))

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, "waiting")
        await bench.journal.answer(row.id, "ask", Question("").accept(), "ada")
        row = await bench.until(row.id, "finished", "blocked")
    assert row.state is RunState.BLOCKED
    assert "step ask was a person called with other arguments" in (row.why or "")


def test_calls_have_the_same_fingerprint_in_each_process_and_others_another_one() -> None:
    words = ["b", "a", "d", "c", "e"]
    assert fingerprint("f", (set(words),), {}) == fingerprint("f", (sorted(words),), {})
    assert fingerprint("f", (Path("a"), 1), {}) != fingerprint("f", (Path("b"), 1), {})
    assert fingerprint("f", (object(), 1), {}) != fingerprint("f", (object(), 2), {})
    assert fingerprint("f", (object(),), {}) == fingerprint("f", (object(),), {})


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e12])
async def test_a_time_that_never_comes_is_refused(bench: Bench, seconds: float) -> None:
    @headway.workflow
    async def work(kind: str) -> None:
        if kind == "sleep":
            await headway.sleep(seconds)
        await headway.ask("Well?", timeout_s=seconds)

    async with bench.working(work):
        for kind in ("sleep", "ask"):
            row = await bench.until((await bench.start(work, kind=kind)).id, "failed")
            assert "it is from 0 to 100 years" in message(row)


async def test_tasks_that_could_wait_for_each_other_for_ever_are_refused(bench: Bench) -> None:
    @headway.task(resources={"cpu": 1})
    async def nested() -> int:
        return 1

    @headway.task(resources={"exclusive": "camera"})
    async def holder() -> int:
        return await nested()

    @headway.workflow
    async def work() -> list[int]:
        return await headway.gather(holder(), holder())

    assert "within a task that holds some" in message(await bench.result(work))


def test_inputs_without_names_are_refused_when_the_workflow_is_defined() -> None:
    with pytest.raises(TypeError, match=r"takes \*numbers: inputs of a workflow have names"):

        @headway.workflow
        async def work(*numbers: int) -> None: ...
