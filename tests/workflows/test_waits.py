"""Runs that wait for a time, a person, an event: rows, not coroutines; every answer is defined."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.workflows.conftest import Bench

import headway
from headway.cli.runs import asked_of
from headway.workflows.errors import Rejected, TimedOut
from headway.workflows.journal.errors import Answered, NoSuchQuestion, TooLate
from headway.workflows.journal.rows import RunState
from headway.workflows.question import Question, WrongAnswer

bodies: list[str] = []


@pytest.fixture(autouse=True)
def fresh() -> None:
    bodies.clear()


@headway.workflow
async def approved(timeout_s: float | None = None) -> str:
    bodies.append("approved")
    try:
        await headway.ask("Publish it?", about={"title": "News"}, timeout_s=timeout_s)
    except (Rejected, TimedOut) as error:
        return f"{type(error).__name__}: {error}"
    return "published"


@headway.workflow
async def chosen() -> str:
    return str(await headway.ask("Which one?", choices=["red", "blue"]))


@headway.workflow
async def edited() -> Any:
    return await headway.ask("Is this right?", edit={"text": "helo"})


@headway.workflow
async def both() -> list[str]:
    return await headway.gather(approved.function(), chosen.function())


async def answer(bench: Bench, run: str, path: str = "ask", *, no: str | None = None) -> None:
    question = Question("")
    text = question.accept() if no is None else question.reject(no)
    await bench.journal.answer(run, path, text, "ada")


async def test_a_run_that_waits_for_a_person_is_a_row_and_goes_on_elsewhere(bench: Bench) -> None:
    async with bench.working(approved) as worker:
        row = await bench.start(approved)
        row = await bench.until(row.id, "waiting")
        assert row.owner is None
        assert row.id not in worker.runs_in_memory()
    [asked] = await bench.journal.questions()
    assert Question.from_json(asked.question_json or "") == Question(
        "Publish it?", about={"title": "News"}
    )
    await answer(bench, row.id)  # while no worker is up
    async with bench.working(approved):
        row = await bench.until(row.id, "finished")
    assert row.output_json == '"published"'
    assert len(bodies) == 2
    assert await bench.journal.questions() == []


async def test_a_person_may_say_no(bench: Bench) -> None:
    async with bench.working(approved):
        row = await bench.start(approved)
        await bench.until(row.id, "waiting")
        await answer(bench, row.id, no="not yet")
        row = await bench.until(row.id, "finished")
    assert row.output_json == '"Rejected: not yet"'


async def test_a_second_answer_is_refused(bench: Bench) -> None:
    async with bench.working(approved):
        row = await bench.start(approved)
        await bench.until(row.id, "waiting")
        await answer(bench, row.id)
        with pytest.raises(Answered, match="ada has answered ask before"):
            await answer(bench, row.id, no="changed my mind")
        row = await bench.until(row.id, "finished")
    assert row.output_json == '"published"'


async def test_an_answer_after_the_time_is_refused(bench: Bench) -> None:
    async with bench.working(approved):
        row = await bench.start(approved, timeout_s=0.01)
        row = await bench.until(row.id, "finished")
        assert row.output_json == '"TimedOut: nobody answered ask in time"'
        with pytest.raises(TooLate, match="the time to answer ask"):
            await answer(bench, row.id)


async def test_an_answer_to_nothing_is_refused(bench: Bench) -> None:
    async with bench.working(approved):
        row = await bench.start(approved)
        await bench.until(row.id, "waiting")
        with pytest.raises(NoSuchQuestion):
            await answer(bench, row.id, "other")


async def test_a_choice_is_one_of_those_offered(bench: Bench) -> None:
    asked = Question("Which one?", ("red", "blue"))
    with pytest.raises(WrongAnswer, match="choose one of red, blue, not 'green'"):
        asked.accept("green")
    async with bench.working(chosen):
        row = await bench.start(chosen)
        await bench.until(row.id, "waiting")
        await bench.journal.answer(row.id, "ask", asked.accept("blue"), "ada")
        row = await bench.until(row.id, "finished")
    assert row.output_json == '"blue"'


async def test_what_a_person_edits_is_returned(bench: Bench) -> None:
    async with bench.working(edited):
        row = await bench.start(edited)
        await bench.until(row.id, "waiting")
        text = Question("", edit={}).accept({"text": "hello"})
        await bench.journal.answer(row.id, "ask", text, "ada")
        row = await bench.until(row.id, "finished")
    assert json.loads(row.output_json or "") == {"text": "hello"}


async def test_two_questions_wait_at_a_time(bench: Bench) -> None:
    async with bench.working(both):
        row = await bench.start(both)
        await bench.until(row.id, "waiting")
        assert {one.path for one in await bench.journal.questions()} == {
            "gather[0]/ask",
            "gather[1]/ask",
        }
        text = Question("", ("red",)).accept("red")
        await bench.journal.answer(row.id, "gather[1]/ask", text, "ada")
        await bench.until(row.id, "waiting")
        await answer(bench, row.id, "gather[0]/ask")
        row = await bench.until(row.id, "finished")
    assert json.loads(row.output_json or "") == ["published", "red"]


async def test_other_branches_go_on_while_one_waits(bench: Bench) -> None:
    done = asyncio.Event()

    @headway.task
    async def work() -> str:
        done.set()
        return "done"

    @headway.workflow
    async def mixed() -> list[Any]:
        return await headway.gather(headway.ask("Sure?"), work())

    async with bench.working(mixed):
        row = await bench.start(mixed)
        await bench.until(row.id, "waiting")
        assert done.is_set()
        await answer(bench, row.id, "gather[0]/ask")
        row = await bench.until(row.id, "finished")
    assert json.loads(row.output_json or "") == [True, "done"]


async def test_a_task_may_not_ask_since_it_would_run_again(bench: Bench) -> None:
    @headway.task
    async def asks() -> None:
        await headway.ask("Really?")

    @headway.workflow
    async def work() -> None:
        await asks()

    row = await bench.result(work)
    assert "belongs into the body of a workflow" in json.loads(row.error_json or "")["message"]


async def test_a_run_sleeps_through_restarts(bench: Bench) -> None:
    @headway.workflow
    async def sleepy() -> str:
        await headway.sleep(1.5)
        return "awake"

    async with bench.working(sleepy):
        row = await bench.start(sleepy)
        row = await bench.until(row.id, "waiting")
        assert row.wake_at is not None
    async with bench.working(sleepy):
        row = await bench.until(row.id, "finished")
    [step] = (await bench.journal.steps(row.id)).values()
    assert (step.ended_at or 0) - (step.started_at or 0) >= 1.5


async def test_a_clock_that_jumps_back_ends_no_wait_early_and_none_twice(bench: Bench) -> None:
    now = [datetime(2030, 1, 1, tzinfo=UTC).timestamp()]

    @headway.workflow
    async def sleepy() -> str:
        bodies.append("sleepy")
        await headway.sleep(0.02)
        return "awake"

    async with bench.working(sleepy, clock=lambda: now[0]):
        row = await bench.start(sleepy)
        await bench.until(row.id, steps=lambda steps: "sleep" in steps)
        now[0] -= 3600
        now[0] += 3601
        row = await bench.until(row.id, "finished")
    assert bodies == ["sleepy"]


async def test_a_run_is_cancelled_while_it_waits(bench: Bench) -> None:
    async with bench.working(approved):
        row = await bench.start(approved)
        await bench.until(row.id, "waiting")
        assert (await bench.journal.cancel(row.id)).state is RunState.CANCELLED
        with pytest.raises(TooLate, match="it needs no answer any more"):
            await answer(bench, row.id)


async def test_what_is_asked_is_shown_with_what_it_is_about(bench: Bench) -> None:
    async with bench.working(approved):
        row = await bench.start(approved)
        await bench.until(row.id, "waiting")
    (asked,) = await bench.journal.questions()
    assert asked_of(asked) == [f"{row.id} ask: Publish it?", '    {"title": "News"}']


@pytest.mark.parametrize("choices", [[], "yes", [1, 2]])
async def test_choices_that_nobody_could_choose_from_are_refused(
    bench: Bench, choices: Any
) -> None:
    @headway.workflow
    async def work() -> str:
        return str(await headway.ask("Which?", choices=choices))

    row = await bench.result(work)
    assert "offer at least one, each a text" in (row.error_json or "")
