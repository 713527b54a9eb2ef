"""Programs, functions and schemas of pipelines: they end in time, and are tried again."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from tests.workflows.conftest import Bench
from tests.workflows.declared.test_pipelines import pipeline

CODE = """
import headway
attempts = []

def improves() -> object:
    attempts.append(1)
    return "no number" if len(attempts) < 3 else 3

@headway.task(retries=2, backoff_s=0.001)
async def of_its_own() -> int:
    attempts.append(1)
    if len(attempts) < 3:
        raise ConnectionError
    return 4
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code.py").write_text(CODE)
    return tmp_path


async def test_a_result_that_does_not_fit_its_schema_is_asked_for_again(
    bench: Bench, folder: Path
) -> None:
    found = pipeline(
        folder,
        """
        tasks:
          one: {python: "code.py:improves", schema: {type: integer}, retries: 2, backoff_s: 0.001}
        """,
    )
    row = await bench.result(found)
    assert row.output_json == "3"
    assert [step.attempt for step in (await bench.journal.steps(row.id)).values()] == [3]


async def test_a_run_whose_result_did_not_fit_runs_again_from_there(
    bench: Bench, folder: Path
) -> None:
    found = pipeline(folder, "tasks: {one: {python: 'code.py:improves', schema: {type: integer}}}")
    async with bench.working(found):
        row = await bench.start(found)
        for _ in range(2):
            await bench.until(row.id, "failed")
            await bench.journal.again(row.id, None, None)
        assert (await bench.until(row.id, "finished")).output_json == "3"


async def test_a_task_of_python_keeps_its_own_settings(bench: Bench, folder: Path) -> None:
    found = pipeline(folder, "tasks: {one: {python: 'code.py:of_its_own'}}")
    assert (await bench.result(found)).output_json == "4"


async def test_a_program_ends_in_time_with_what_it_started(bench: Bench, tmp_path: Path) -> None:
    found = pipeline(
        tmp_path,
        f"""
        tasks:
          one: {{command: [sh, -c, "sleep 60 & echo $! > {tmp_path}/pid; wait"], timeout_s: 0.5}}
        """,
    )
    began_s = time.monotonic()
    row = await bench.result(found)
    assert "took longer than 0.5 s" in (row.error_json or "")
    assert time.monotonic() - began_s < 20
    started = int((tmp_path / "pid").read_text())
    while _runs(started):
        await bench.a_moment()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


async def test_ctrl_c_is_not_for_programs_that_steps_run(bench: Bench, tmp_path: Path) -> None:
    command = "import os; print(os.getpgrp())"
    found = pipeline(tmp_path, f"tasks: {{one: {{command: [python3, -c, '{command}']}}}}")
    row = await bench.result(found)
    assert int(json.loads(row.output_json or "")) != os.getpgrp()
