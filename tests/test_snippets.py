"""Whoever copies a command or a Python block from a document gets what the document says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
import yaml
from tests.models.encoder.folders import folder
from tests.models.graphs import summed
from tests.snippets import ROOT, Snippet, blocks, commands, spans

from headway.cache import cache_folder
from headway.cli import application
from headway.engines.model_file import find_model

DOCUMENTED = "127.0.0.1:8080"
"""Where every document has its gateway."""

NOT_RUN = {
    "headway bench ": "minutes on a real engine",
    "headway plan ": "a trace that has to be fetched",
    "headway simulate ": "a trace that has to be fetched",
    "headway predictor ": "a log of hundreds of requests",
    "headway tune all-MiniLM-L6-v2 ": "about a minute of measuring",
    "headway serve --set prediction.predictor=mine.npz": "the predictor that is trained before it",
    "headway approve RUN": "a run that waits for an answer",
    "headway worker ": "PostgreSQL; it works until it is stopped",
    "headway serve --model NAME=PATH": "NAME and PATH stand for the reader's own",
    "headway serve --model sums=http://gpu-1:8000": "waits for a server of the reader's own",
    "headway serve --config examples/transcribe.yaml": "pocketsphinx",
}
"""Commands whose names and options only are tried, and what they would need."""

OF_OTHERS = {
    "apt-get ": "root",
    "python3 -m venv ": "root, and a network",
    "python3.11 -m venv ": "a network",
    "/opt/headway/bin/": "root, and a network",
    "HEADWAY_DATA=../shared/data python bench/against_vidur.py": "traces, and Vidur",
    "python examples/transcribe_client.py": "pocketsphinx and espeak-ng",
    'echo "{\\"instances\\"': "pocketsphinx",
}
"""Commands that are not tried at all, and what they would need."""

FEWER = {
    "headway tune models.py:moods": "--requests 100 --repeats 1 --sizes 1,8 --policies adaptive",
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
        """What a program does with `text`, in which the address is this gateway's."""
        return subprocess.run(
            [*words, text.replace(DOCUMENTED, self.address)],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip


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
    unnamed = [block for block in blocks() if not block.language and block.text.startswith(starts)]
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
    assert len(tunes) == 2 and all("--slo " in text for text in tunes)
    (own,) = [text for text in tunes if why(text, FEWER)]
    done = reader.runs("bash", "-c", text=f"{own.rstrip()} {why(own, FEWER)}")
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
    """It starts, and ends well when it is asked to."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {text}"], cwd=reader.folder, env=reader.environment,
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
    for extras in re.findall(r"headway\[([\w,-]+)\]", text):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


def agrees(documented: str, printed: str) -> bool:
    """Whether a document shows what was printed, white space aside and with … for anything."""
    parts = map(re.escape, re.sub(r"\s", "", documented).split("…"))
    return re.fullmatch(".*".join(parts) or ".*", re.sub(r"\s", "", printed), re.DOTALL) is not None
