"""`headway run` and `headway runs`, as processes: whatever stops them, a run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.test_command_line import headway

PIPELINE = """
inputs: {word: {type: string}}
tasks:
  said: {command: [sh, -c, "echo $0 >> began; sleep 1; echo $0", "{{ inputs.word }}"]}
"""
COMMAND = ("run", "pipe.yaml", "--input", "word=1")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "pipe.yaml").write_text(PIPELINE)
    (tmp_path / "other.yaml").write_text("tasks: {one: {value: 1}}")
    return tmp_path


def stopped(folder: Path, stop: Callable[[subprocess.Popen[str]], None]) -> str:
    """A run that was stopped in its step; its id."""
    process = subprocess.Popen(
        (sys.executable, "-c", "from headway.cli import main; main()", *COMMAND),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (folder / "began").exists():
        assert process.poll() is None
        time.sleep(0.01)
    stop(process)
    said = process.communicate(timeout=30)[1]
    return said.split("Run ", 1)[1].split(";")[0]


@pytest.mark.parametrize(
    "stop",
    [
        lambda process: os.killpg(process.pid, signal.SIGINT),  # ctrl-C: all of the terminal's
        lambda process: process.send_signal(signal.SIGTERM),
    ],
)
def test_a_step_that_runs_as_the_run_is_stopped_ends_and_runs_once(
    folder: Path, stop: Callable[[subprocess.Popen[str]], None]
) -> None:
    run = stopped(folder, stop)
    other = headway("runs", "resume", "other.yaml", run)
    assert "there is no workflow pipe; there are: other" in other.stderr
    assert headway("runs", "resume", "pipe.yaml", run).stdout == "1\n\n"
    assert (folder / "began").read_text() == "1\n"


def test_a_run_that_was_killed_waits_for_who_asks_for_it(folder: Path) -> None:
    run = stopped(folder, lambda process: os.killpg(process.pid, signal.SIGKILL))
    assert headway("run", "pipe.yaml", "--input", "word=2").stdout == "2\n\n"
    assert (folder / "began").read_text() == "1\n2\n"  # not 1 again
    assert headway("runs", "cancel", run).stdout == f"{run}: cancelled\n"
