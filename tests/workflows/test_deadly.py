"""A run that kills every process that works on it is set aside, and takes no other run with it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path

import pytest

from headway.store.owner import Owner
from headway.workflows.catalog import Catalog, load
from headway.workflows.journal.deaths import LEAST_DEATHS, PATIENCE_S, SUSPECT
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import Definition, RunRow, RunState, StepRow, StepState
from headway.workflows.starting import start

PROGRAM = Path(__file__).with_name("programs") / "deadly.py"
WORKER = """
from headway.workflows.journal import deaths
deaths.LEAST_DEATHS, deaths.PATIENCE_S = 3, 0.0
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


@pytest.fixture
def now(journal: Journal) -> list[float]:
    """The journal's clock, which tests set."""
    moment = [1000.0]
    journal._clock = lambda: moment[0]
    return moment


async def test_a_run_is_set_aside_after_minutes_of_deaths_without_a_step(
    journal: Journal, now: list[float]
) -> None:
    await added(journal, "deadly")
    times = []
    while (row := await journal.run("deadly")).state is not RunState.BLOCKED:
        if await dies(journal):
            times.append(now[0])
        now[0] += 0.5
    waits_s = [after - before for before, after in pairwise(times)]
    assert waits_s[:5] == [0.5, 0.5, 1.5, 2.5, 4.5]  # longer each time
    assert max(waits_s) < 62.0
    assert times[-1] - times[0] >= PATIENCE_S - 62.0
    assert LEAST_DEATHS < len(times) < 30
    assert row.why is not None
    assert f"its process died {len(times)} times and no step ended between" in row.why
    assert "headway runs retry deadly" in row.why

    await journal.again("deadly", None, None)
    assert await dies(journal) == ["deadly"]
    assert (await journal.run("deadly")).state is RunState.RUNNING  # counted from 0 again


async def test_a_run_that_gets_on_is_never_set_aside(journal: Journal, now: list[float]) -> None:
    await added(journal, "unlucky")
    for number in range(3 * LEAST_DEATHS):
        now[0] += PATIENCE_S
        assert await dies(journal) == ["unlucky"]
        await ended(journal, "unlucky", f"step#{number}")


async def test_those_that_may_kill_their_process_run_one_at_a_time(
    journal: Journal, now: list[float]
) -> None:
    await added(journal, "deadly", "other", "third")
    for _ in range(SUSPECT):
        assert await dies(journal) == ["deadly", "other", "third"]
    await added(journal, "new")
    assert await dies(journal) == ["deadly", "new"]
    assert await dies(journal) == ["new", "other"]  # the other one has to wait
    now[0] += 10.0
    living = Owner.this()
    assert [row.id for row in await journal.claim(living, ["w"], 10, 30.0)] == ["deadly"]
    assert await journal.claim(living, ["w"], 10, 30.0, holding=["deadly"]) == []
    await journal.end(replace(await journal.run("deadly"), state=RunState.FINISHED))
    assert [row.id for row in await journal.claim(living, ["w"], 10, 30.0)] == ["new"]
    await ended(journal, "new", "step")  # it gets on: the next one's turn
    claimed = await journal.claim(living, ["w"], 10, 30.0, holding=["new"])
    assert [row.id for row in claimed] == ["third"]


async def test_a_run_that_kills_real_processes_ends_blocked_and_others_finish(
    tmp_path: Path,
) -> None:
    address, log, gate = (tmp_path / name for name in ("workflows.db", "log", "gate"))
    deadly, harmless = load(PROGRAM)
    journal = Journal.open(str(address))
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
