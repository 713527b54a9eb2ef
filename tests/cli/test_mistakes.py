"""Mistakes of a clumsy user: one sentence that says what is wrong and what to do."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.inside import Run
from tests.cli.inside import run as run
from tests.cli.test_command_line import empty_folder, headway, one_line_failure  # noqa: F401

from headway.cli.configuration import read_configuration
from headway.cli.exit import Failure, sentence_of
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.trace_file import read_trace
from headway.store.request_log import RequestLog, RequestLogError, read


def refused(text: str) -> str:
    """What is said of settings with this text."""
    Path("headway.yaml").write_text(text)
    with pytest.raises(Failure) as raised:
        read_configuration({}, None, None)
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("backends:\n\t- url: http://a\n", "2: is not YAML: there is a tab; indent with spaces"),
        ("backends:\n  url: http://a\n", "backends is a list: write `- ` before each"),
        ("keys: ada\n", "keys is a list: write `- ` before each of its entries"),
        ("tiers: {batch: 5}\n", "tiers.batch is a section: it has settings of its own, such as"),
        ("preemption: false\n", "preemption is a section: it has settings of its own"),
        ("backends:\n- http://gpu:8000\n", "backends[0] is a section: it has settings"),
        (
            f"keys: [{{name: '', sha256: {'0' * 64}}}]\n",
            "a key needs a name of one line, such as chat-frontend",
        ),
        ("backends: [{url: 'gpu:8000'}]\n", "URL; write http://gpu:8000"),
        ("backends: [{url: gpu.lan}]\n", "'gpu.lan' is not an http:// or https:// URL"),
        (
            "backends: [{url: http://a, name: embedded}]\n",
            "'embedded' is the name of the embedded engine; choose another",
        ),
    ],
)
def test_in_the_settings(text: str, says: str) -> None:
    assert says in refused(text)


def test_a_folder_or_nothing_for_the_settings() -> None:
    Path("folder").mkdir()
    for path, says in (("folder", "is a folder; name the YAML"), ("none.yaml", "check the path")):
        with pytest.raises(Failure, match=says):
            read_configuration({}, None, Path(path))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full; free some space"),
        (OSError(errno.EROFS, "Read-only file system", "x"), "x: this user may not do that"),
        (OSError(errno.ENOENT, "No such file or directory", "x"), "x: no such file or directory; "),
        (OSError("--out cannot write x: it is a folder"), "--out cannot write x: it is a folder"),
        (SimulationError("no trace"), "no trace"),
    ],
)
def test_of_the_file_system(error: Exception, says: str) -> None:
    assert sentence_of(error).startswith(says)


def test_traces_that_are_none() -> None:
    Path("empty.csv").touch()
    with pytest.raises(SimulationError, match="is empty; a trace has a line of headings"):
        read_trace(Path("empty.csv"))
    Path("noise.csv").write_bytes(b"a,\xc6\xff\n")
    with pytest.raises(SimulationError, match="it is no text in UTF-8"):
        read_trace(Path("noise.csv"))


def test_a_request_log_of_another_version() -> None:
    path = Path("other.db").absolute()
    with closing(sqlite3.connect(path)) as log:
        log.execute("create table requests (id text)")
        log.execute("pragma user_version = 99")
        log.commit()
    with pytest.raises(RequestLogError, match="no request log that this version of Headway reads"):
        list(read(path))
    with pytest.raises(RequestLogError, match=r"can go on with .*; move it away"):
        RequestLog(path).close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_under_the_output() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from headway.cli import main; main()", "key", "list"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "headway: the disk is full; free some space, or write elsewhere\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")
def test_ctrl_c_ends_a_comparison_at_once_and_leaves_no_process() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from headway.cli import main; main()", "simulate", "poisson:10",
         "--requests", "300000", "--policies", "fcfs,srpt", "--processes", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        while process.poll() is None and len(children.read_text().split()) < 2:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "headway: interrupted"
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_mistyped_command_after_all_that_is_still_one_line() -> None:
    assert "no such option: --polcy" in headway("serve", "--polcy", "srpt").stderr
    assert "a trace" in one_line_failure(headway("advise"), 2)


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (("key", "new", ""), 2, "a key needs a name of one line"),
        (("key", "new", "a\nb"), 2, "a key needs a name of one line"),
        (("key", "revoke", "ada"), 2, "there is no key 'ada'; headway.yaml has none"),
        (("prompts", "test", "--url", "host:1"), 2, "--url host:1: write http://HOST:PORT"),
        (("calibrate", "ftp://host", "--out", "x.json"), 1, "ftp://host is no http:// or https://"),
        (("run", "none.py"), 2, "none.py cannot be read: No such file or directory; check the"),
        (("worker", "flow.py", "--cpu", "-1"), 2, "a worker has no less than 0 of --cpu"),
        (("worker", "flow.py", "--otlp", "host"), 2, "--otlp host: write http://HOST:PORT"),
        (("worker", "flow.py", "--url", "host"), 2, "--url host: write http://HOST:PORT"),
        (("run", "flow.py", "--input", "n=five", "--journal", "runs.db"), 1, "it takes n: int"),
        (("run", "empty.yaml"), 2, "a pipeline is a mapping with `tasks`"),
        (("trace", "replay", "flow.py"), 1, "name a file that log.events of a gateway wrote"),
    ],
)
def test_in_the_arguments_of_commands(
    command: tuple[str, ...], code: int, says: str, run: Run
) -> None:
    Path("flow.py").write_text(
        "import headway\n\n\n@headway.workflow\nasync def count(n: int) -> int:\n    return n\n"
    )
    Path("empty.yaml").touch()
    done = run(*command)
    assert done.code == code
    (line,) = done.error.splitlines()
    assert says in line


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("def report():\n    return 1", "write `async def report`"),
        ("async def report():\n    return step()", "is a call that was not awaited: write `await`"),
        ("async def report():\n    return await headway.llm('hi')", "is no address of a gateway"),
    ],
)
def test_in_a_workflow(body: str, says: str) -> None:
    Path("flow.py").write_text(
        "import headway\n\n\n@headway.task\nasync def step() -> int:\n    return 1\n\n\n"
        f"@headway.workflow\n{body}\n"
    )
    done = headway("run", "flow.py", HEADWAY_JOURNAL="runs.db", HEADWAY_URL="nonsense")
    assert done.returncode in (1, 2)
    last = done.stderr.splitlines()[-1]
    assert says in last and "headway.workflows" not in last
    assert "Traceback" not in done.stderr and "never awaited" not in done.stderr
