"""Whoever copies a command or a Python block from a document gets what the document says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from time import time

import pytest
import typer
import yaml
from tests.models.encoder.folders import folder
from tests.models.graphs import summed
from tests.prediction.conftest import examples, write_log
from tests.snippets import ROOT, Snippet, blocks, commands, spans

from headway.cache import cache_folder
from headway.cli import application
from headway.engines.model_file import find_model

DOCUMENTED = re.compile(r"127\.0\.0\.1:8080|gpu-[12]:8000")
"""Where every document has its gateway, and the servers that a reader has already."""

NOT_RUN = {
    "headway bench ": "minutes on a real engine",
    "headway calibrate ": "minutes of a server that has nothing else to do",
    "headway approve RUN": "a run that waits for an answer",
    "headway worker ": "PostgreSQL; it works until it is stopped",
    "headway serve --set queue=": "a Redis; tests/gateway/test_shared_queue.py starts one",
    "headway predictor train --encoder ": "half an hour; OWN, OTHERS and MODEL are the reader's",
    "headway serve --config examples/transcribe.yaml": "pocketsphinx",
}
"""Commands whose names and options only are tried, and what they would need."""

SERVED = "smollm2-135m-instruct"
"""What a gateway calls its embedded model."""

OF_OTHERS = {
    "apt-get ": "root",
    "podman ": "podman, and a network",
    "python3 -m venv ": "root, and a network",
    "source .venv/bin/activate": "the environment that `make serve` makes",
    "/opt/headway/bin/": "root, and a network",
    "redis-server ": "Redis",
    "curl http://127.0.0.1:8081/": "two gateways; tests/gateway/test_shared_queue.py runs them",
    "prometheus ": "Prometheus; tests/deploy runs it",
    "promtool ": "Prometheus; tests/deploy runs it",
    "python examples/transcribe_client.py": "pocketsphinx and espeak-ng",
    'echo "{\\"instances\\"': "pocketsphinx",
}
"""Commands that are not tried at all, and what they would need."""

FEWER = {
    "headway tune all-MiniLM-L6-v2 ": "--requests 100 --repeats 1 --sizes 1,8 --policies adaptive "
    "--lengths fixed:8",
    "headway tune models.py:moods": "--requests 100 --repeats 1 --sizes 1,8 --policies adaptive",
    "headway simulate trace.csv ": "--requests 200",
    "headway advise trace.csv ": "--requests 200 --policies fcfs,srpt",
    "headway plan trace.csv ": "--requests 500",
}
"""Options that are added to commands that would take most of a minute as they are."""

COMMANDS = commands()
PYTHON = [block for block in blocks() if block.language == "python"]


def why(text: str, reasons: dict[str, str]) -> str:
    """The reason that is given for a command; empty: none."""
    return next((reason for start, reason in reasons.items() if text.startswith(start)), "")


@dataclass(frozen=True)
class Reader:
    """Somebody with a folder of their own, and a gateway with every model of the documents."""

    folder: Path
    address: str

    @property
    def environment(self) -> dict[str, str]:
        """With a free port, and with the packages and the cache of this environment."""
        kept = {name: of for name, of in os.environ.items() if not name.startswith("HEADWAY_")}
        return kept | {
            "HOME": str(self.folder),
            "HEADWAY_CACHE": str(cache_folder()),
            "HEADWAY_PORT": "0",
            "HEADWAY_URL": f"http://{self.address}",
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
        }

    def runs(self, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """What a program does with `text`, in which every server is this gateway."""
        return subprocess.run(
            [*words, DOCUMENTED.sub(self.address, text)],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=110,
        )  # fmt: skip


def log_of_a_first_day(path: Path) -> None:
    """A gateway's log of 110 requests of the last ten minutes."""
    write_log(path, examples(110), SERVED)
    with closing(sqlite3.connect(path)) as log, log:
        log.execute("UPDATE requests SET arrival_unix_s = ? + 4 * arrival_unix_s", [time() - 450])


def until_it_serves(process: subprocess.Popen[str]) -> str:
    """The address in its banner."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"serves http://(\S+)/v1", line):
            return found[1]
    process.wait()
    raise AssertionError("it ended before it served")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    home = tmp_path_factory.mktemp("reader")
    (home / "bin").mkdir()
    program = home / "bin" / "headway"
    program.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'from headway.cli import main; main()' \"$@\"\n"
    )
    program.chmod(0o755)
    (home / "examples").symlink_to(ROOT / "examples")
    shutil.copytree(ROOT / "examples/prompts", home / "prompts")
    (moods,) = [block.text for block in PYTHON if "def moods(" in block.text]
    (home / "models.py").write_text(moods)
    (report,) = [block.text for block in PYTHON if block.text.startswith("# report.py")]
    (home / "report.py").write_text(report)
    summed(home / "sums.onnx")
    with as_file(files("headway.lab.simulation.profiles") / "llama-3.1-8b-h100.json") as profile:
        shutil.copy(profile, home / "mine.json")  # as `headway calibrate` writes one
    log_of_a_first_day(home / ".local/state/headway/requests.db")
    labels = {"config.json": {"id2label": {"0": "rare", "1": "common", "2": "c", "3": "d"}}}
    folder(home / "models/classifier", labels, output="logits", summed=True)
    models = [
        {"name": "all-MiniLM-L6-v2", "path": "all-MiniLM-L6-v2"},
        {"name": "moods", "path": "models.py:moods"},
        {"name": "sums", "path": "sums.onnx"},
        {"name": "rare", "path": "models/classifier", "preload": False},
    ]
    chat = {"model": str(find_model(None)), "slots": 1, "context_tokens": 256}
    settings = chat | {"models": models, "prompts": "prompts"}
    (home / "all.yaml").write_text(yaml.safe_dump(settings))
    somebody = Reader(home, "")
    process = subprocess.Popen(
        [str(program), "serve", "--config", "all.yaml", "--log-level", "error"],
        cwd=home, env=somebody.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Reader(home, until_it_serves(process))
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_every_block_that_is_to_be_run_says_what_it_is() -> None:
    starts = ("headway ", "pip ", "curl ", "make ", "python", "import ", "from ")
    unnamed = [
        block
        for block in blocks()
        if block.language in ("", "bash", "shell", "console", "py")
        and block.text.startswith(starts)
    ]
    assert not list(map(str, unnamed))


def test_every_reason_is_that_of_a_command() -> None:
    reasons = NOT_RUN | OF_OTHERS | FEWER
    texts = [command.text for command in COMMANDS]
    assert not [start for start in reasons if not any(text.startswith(start) for text in texts)]


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_does_what_the_document_says(command: Snippet, reader: Reader) -> None:
    text = command.text
    if why(text, OF_OTHERS):
        return
    if text.startswith("headway ") and why(text, NOT_RUN):
        knows_its_options(text)
    elif text.startswith("headway serve"):
        serves(text, reader)
    elif text.startswith("pip install"):
        installs_what_there_is(text)
    elif text.startswith("make "):
        done = subprocess.run(
            ["make", "-n", *shlex.split(text, comments=True)[1:]],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    elif text.startswith("sqlite3 ") and shutil.which("sqlite3") is None:
        pytest.skip("there is no sqlite3 here")
    else:
        strict = 'set -eo pipefail; curl() { command curl -sS --fail-with-body "$@"; };\n'
        done = reader.runs("bash", "-c", text=f"{strict}{text.rstrip()} {why(text, FEWER)}")
        assert done.returncode == 0, done.stdout + done.stderr
        assert agrees(command.answer, done.stdout), done.stdout


def test_every_tune_of_the_documents_ends_with_a_recommendation(reader: Reader) -> None:
    tunes = [command.text for command in COMMANDS if command.text.startswith("headway tune ")]
    assert len(tunes) == 2
    (items,) = [command.text for command in COMMANDS if "> items.jsonl" in command.text]
    assert reader.runs("bash", "-c", text=items).returncode == 0
    for text in tunes:
        done = reader.runs("bash", "-c", text=f"{text.rstrip()} {why(text, FEWER)}")
        assert "(recommended)" in done.stdout or "\nmodels:\n" in done.stdout


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_python_block_runs(block: Snippet, reader: Reader) -> None:
    done = reader.runs(sys.executable, "-c", text=block.text)
    assert done.returncode == 0, done.stderr
    printed = re.findall(r"print\(.*?\)  # (.+)", block.text)
    assert all(one in done.stdout for one in printed), done.stdout


def test_the_example_of_a_client_runs(reader: Reader) -> None:
    example = (ROOT / "examples/openai_client.py").read_text(encoding="utf-8")
    done = reader.runs(sys.executable, "-c", text=example)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 2


@pytest.mark.parametrize("example", ["openai_client.py", "tiers_and_deadlines.py"])
def test_an_example_says_what_it_needs(example: str) -> None:
    text = (ROOT / "examples" / example).read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules['openai'] = None\n{text}"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "this example needs OpenAI's package: pip install openai\n"


@pytest.mark.parametrize("span", spans(), ids=str)
def test_a_command_in_a_sentence_has_the_options_that_there_are(span: Snippet) -> None:
    knows_its_options(span.text)


def knows_its_options(text: str) -> None:
    """Whether Headway has that command with these options; it is not run."""
    words = shlex.split(text.replace("\\\n", " "), comments=True)[1:]
    command = typer.main.get_command(application(words[0]))
    assert command.main([*words, "--help"], "headway", standalone_mode=False) in (None, 0)


def serves(text: str, reader: Reader) -> None:
    """It starts, and ends well when it is asked to.

    With settings it runs in front of the reader's gateway: an engine each would take seconds.
    """
    in_front = {"HEADWAY_BACKENDS": f'[{{"url": "http://{reader.address}/v1"}}]'}
    with_settings = any(flag in text for flag in (" --set ", " --policy ", " --fairness "))
    process = subprocess.Popen(
        ["bash", "-c", DOCUMENTED.sub(reader.address, f"exec {text}")],
        cwd=reader.folder, env=reader.environment | (in_front if with_settings else {}),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until_it_serves(process)
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err


def installs_what_there_is(text: str) -> None:
    """Extras of Headway are in its pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extras in re.findall(r"(?:headway|\.)\[([\w,-]+)\]", text):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


def agrees(documented: str, printed: str) -> bool:
    """Whether a document shows what was printed, white space aside and with … for anything."""
    parts = map(re.escape, re.sub(r"\s", "", documented).split("…"))
    return re.fullmatch(".*".join(parts) or ".*", re.sub(r"\s", "", printed), re.DOTALL) is not None
