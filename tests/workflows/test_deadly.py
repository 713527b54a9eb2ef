"""A run that kills every process that works on it is set aside, and takes no other run with it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

from headway.workflows.journal.opening import open_journal

from headway.store.owner import Owner
from headway.workflows.catalog import Catalog, load
from headway.workflows.journal.deaths import MOST_DEATHS, SUSPECT
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import Definition, RunRow, RunState, StepRow, StepState
from headway.workflows.starting import start

PROGRAM = Path(__file__).with_name("programs") / "deadly.py"
WORKER = """
from headway.workflows.journal import deaths
deaths.MOST_DEATHS = 3
from headway.cli import main
main()
"""
DEFINITION = Definition("hash", "w", "w.py", "")
deaths = count()


async def dies(journal: Journal) -> list[str]:
    """A worker claims what it can, and dies; which runs it had."""
    owner = replace(Owner.this(), began=f"long ago {next(deaths)}")
    claimed = await journal.claim(owner, ["w"], 10, 30.0)
    return [row.id for row in claimed]


async def added(journal: Journal, *runs: str) -> None:
    for number, run in enumerate(runs):
        row = RunRow(run, "w", "hash", "{}", created_at=float(number), root_workflow="w")
        await journal.add(row, DEFINITION)


async def ended(journal: Journal, run: str, path: str) -> None:
    row = await journal.run(run)
    await journal.write(StepRow(run, path, "task", StepState.FINISHED, ended_at=1.0), row.fence)


async def test_a_run_is_set_aside_after_deaths_without_a_step(journal: Journal) -> None:
    await added(journal, "deadly")
    for _ in range(MOST_DEATHS):
        assert await dies(journal) == ["deadly"]
    assert await dies(journal) == []
    row = await journal.run("deadly")
    assert row.state is RunState.BLOCKED
    assert row.why is not None
    assert f"its process died {MOST_DEATHS} times and no step ended between" in row.why
    assert "headway runs retry deadly" in row.why

    await journal.again("deadly", None, None)
    assert await dies(journal) == ["deadly"]
    assert (await journal.run("deadly")).state is RunState.RUNNING  # counted from 0 again


async def test_a_run_that_gets_on_is_never_set_aside(journal: Journal) -> None:
    await added(journal, "unlucky")
    for number in range(3 * MOST_DEATHS):
        assert await dies(journal) == ["unlucky"]
        await ended(journal, "unlucky", f"step#{number}")


async def test_those_that_may_kill_their_process_run_one_at_a_time(journal: Journal) -> None:
    await added(journal, "deadly", "other", "third")
    for _ in range(SUSPECT):
        assert await dies(journal) == ["deadly", "other", "third"]
    await added(journal, "new")
    assert await dies(journal) == ["deadly", "new"]
    living = Owner.this()
    first = await journal.claim(living, ["w"], 10, 30.0)
    assert [row.id for row in first] == ["deadly", "new"]
    assert await journal.claim(living, ["w"], 10, 30.0, holding=["new", "deadly"]) == []
    await journal.end(replace(first[0], state=RunState.FINISHED))
    [second] = await journal.claim(living, ["w"], 10, 30.0, holding=["new"])
    assert second.id == "other"


async def test_a_run_that_kills_real_processes_ends_blocked_and_others_finish(
    tmp_path: Path,
) -> None:
    address, log, gate = (tmp_path / name for name in ("workflows.db", "log", "gate"))
    deadly, harmless = load(PROGRAM)
    journal = open_journal(str(address))
    catalog = Catalog([deadly, harmless])
    bad = await start(journal, catalog, deadly, {"log": str(log)})
    good = await start(journal, catalog, harmless, {"log": str(log), "gate": str(gate)})
    command = [sys.executable, "-c", WORKER, "worker", str(PROGRAM), "--journal", str(address)]
    for _ in range(3):
        assert subprocess.run(command, stderr=subprocess.DEVNULL, timeout=60).returncode == -9
    gate.touch()
    worker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while not (await journal.run(good.id)).state.ended:
            assert worker.poll() is None
    finally:
        worker.kill()
        worker.wait()
    assert (await journal.run(good.id)).state is RunState.FINISHED
    blocked = await journal.run(bad.id)
    assert blocked.state is RunState.BLOCKED
    assert "its process died 3 times and no step ended between" in (blocked.why or "")
    assert log.read_text().splitlines().count("deadly") == 1  # what had ended did not run again
    journal.close()
