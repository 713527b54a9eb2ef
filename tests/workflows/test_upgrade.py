"""Code changes under runs that wait: they end on what they began with, or say why not."""

from __future__ import annotations

from pathlib import Path

from tests.workflows.conftest import Bench

from headway.workflows.catalog import Catalog, load
from headway.workflows.journal.rows import RunState
from headway.workflows.question import Question
from headway.workflows.starting import start

OLD = """
import headway
{more}
@headway.task
async def first() -> str:
    return "old first"

@headway.task
async def last() -> str:
    return "old last"

@headway.workflow
async def changing() -> list[str]:
    begun = await first()
    await headway.ask("Go on?")
    return [begun, await last()]
"""
NEW = OLD.replace("old", "new").replace("begun = await first()", "begun = 'none'")


def yes(_: object = None) -> str:
    return Question("").accept()


async def test_waiting_runs_end_on_the_old_definition(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.py"
    file.write_text(OLD.format(more=""))
    old = load(file)
    async with bench.working(*old):
        rows = [await start(bench.journal, Catalog(old), old[0], {}) for _ in range(20)]
        for row in rows:
            await bench.until(row.id, "waiting")
    file.write_text(NEW.format(more=""))
    new = load(file)
    async with bench.working(*new):
        for row in rows:
            await bench.journal.answer(row.id, "ask", yes(), "ada")
        for row in rows:
            ended = await bench.until(row.id, "finished")
            assert ended.output_json == '["old first", "old last"]'
        fresh = await start(bench.journal, Catalog(new), new[0], {})
        await bench.until(fresh.id, "waiting")
        await bench.journal.answer(fresh.id, "ask", yes(), "ada")
        assert (await bench.until(fresh.id, "finished")).output_json == '["none", "new last"]'


async def test_an_old_definition_that_does_not_load_blocks_its_runs_with_a_sentence(
    bench: Bench, tmp_path: Path
) -> None:
    file, helper = tmp_path / "pipeline.py", tmp_path / "gone_since.py"
    helper.write_text("")
    file.write_text(OLD.format(more="import gone_since"))
    old = load(file)
    async with bench.working(*old):
        row = await start(bench.journal, Catalog(old), old[0], {})
        await bench.until(row.id, "waiting")
    helper.unlink()
    import sys

    del sys.modules["gone_since"]
    file.write_text(NEW.format(more=""))
    new = load(file)
    async with bench.working(*new):
        await bench.journal.answer(row.id, "ask", yes(), "ada")
        row = await bench.until(row.id, "blocked")
        assert "its old source does not load any more (ModuleNotFoundError" in (row.why or "")
        assert f"headway runs retry {row.id} --on-new" in (row.why or "")
        # The new one begins with another step: the person is asked under the same name.
        definition = Catalog.definition(new[0])
        await bench.journal.again(row.id, None, definition)
        row = await bench.until(row.id, "finished")
    assert row.output_json == '["none", "new last"]'


async def test_a_step_that_was_another_one_blocks_the_run_and_is_named(
    bench: Bench, tmp_path: Path
) -> None:
    file = tmp_path / "pipeline.py"
    file.write_text(
        OLD.format(more="")
        .replace("first()", "first(1)")
        .replace("async def first(1)", "async def first(number: int)")
    )
    old = load(file)
    async with bench.working(*old):
        row = await start(bench.journal, Catalog(old), old[0], {})
        await bench.until(row.id, "waiting")
    file.write_text(file.read_text().replace("first(1)", "first(2)"))
    new = load(file)
    async with bench.working(*new):
        await bench.journal.cancel(row.id)
        await bench.journal.again(row.id, None, Catalog.definition(new[0]))
        row = await bench.until(row.id, "blocked")
        assert (
            row.why is not None and "step first was a task called with other arguments" in row.why
        )
        await bench.journal.again(row.id, "first", None)
        row = await bench.until(row.id, "waiting")
    assert row.state is RunState.WAITING
