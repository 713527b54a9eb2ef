"""The examples of workflows, for real: `headway serve` with its embedded engine, and files."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.workflows.conftest import Bench

from headway.store.sqlite import SqliteConnection
from headway.workflows.catalog import load
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.schema import prepare

EXAMPLES = Path(__file__).parents[2] / "examples"
SPEECH = ("ffmpeg", "espeak-ng")
SENTENCES = ("transfer five hundred dollars to my savings account", "thank you for your question")


@dataclass(frozen=True)
class Reader:
    """Somebody who tries the examples, in a folder of their own, with a gateway."""

    folder: Path
    environment: dict[str, str]
    url: str = ""

    def runs(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What a command does."""
        return subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=90
        )

    @contextmanager
    def starts(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """While a command runs; it has to end well when it is asked to."""
        process = subprocess.Popen(
            words, cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=30)
        assert process.returncode == 0


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("reader")
    (folder / "bin").mkdir()
    program = folder / "bin" / "headway"
    program.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'from headway.cli import main; main()' \"$@\"\n"
    )
    program.chmod(0o755)
    (folder / "examples").symlink_to(EXAMPLES)
    shutil.copytree(EXAMPLES / "prompts", folder / "prompts")
    kept = {name: of for name, of in os.environ.items() if not name.startswith("HEADWAY_")}
    environment = kept | {
        "HEADWAY_PORT": "0",
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "XDG_STATE_HOME": str(folder / "state"),
    }
    models = ["--model", "smollm2-135m-instruct"]
    if find_spec("pocketsphinx") is not None:
        models += ["--config", "examples/transcribe.yaml"]
    somebody = Reader(folder, environment)
    serve = ("headway", "serve", "--prompts", "prompts", *models, "--log-level", "error")
    with somebody.starts(*serve) as process:
        assert process.stdout is not None
        url = next(
            found[1] for line in process.stdout if (found := re.search(r"serves (\S+)/v1", line))
        )
        yield Reader(folder, environment | {"HEADWAY_URL": url}, url)


def test_text_to_sql_answers_with_rows_of_the_database(reader: Reader) -> None:
    songs = reader.folder / "songs.db"
    with closing(sqlite3.connect(songs)) as database:
        database.executescript(example("text_to_sql").SONGS)
    done = reader.runs(
        "headway", "run", "examples/workflows/text_to_sql.py", "--journal", "sql.db",
        "--input", "question=Which songs are by Miles Davis?", "--input", "database=songs.db",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    with closing(sqlite3.connect(songs)) as database:
        assert answer["rows"] == [list(row) for row in database.execute(answer["query"])]
    assert re.fullmatch(r"[1-3] of 3", answer["votes"])
    steps = [step["path"] for step in newest(reader, "sql.db")["steps"]]
    assert {"schema", "link", "gather[2]/generate", "gather[2]/execute"} <= set(steps)


def test_a_query_that_fails_is_repaired_with_the_error_in_hand() -> None:
    execute = example("text_to_sql").execute.function
    assert execute("", "SELECT title FROM songs WHERE artist = 'Miles Davis'") == {
        "rows": [("So What",)]
    }
    assert execute("", "SELECT name FROM songs") == {"error": "no such column: name"}
    assert execute("", "SELECT title FROM songs WHERE year = '1900'") == {
        "error": "it finds nothing"
    }


@pytest.mark.skipif(
    find_spec("pocketsphinx") is None or not all(map(shutil.which, SPEECH)),
    reason="needs pocketsphinx, ffmpeg and espeak-ng",
)
def test_a_recording_that_lands_gets_its_subtitles(reader: Reader) -> None:
    inbox = reader.folder / "inbox"
    inbox.mkdir()
    with reader.starts(
        "headway", "worker", "examples/workflows/subtitles.py", "--journal", "subtitles.db"
    ):
        say(reader, inbox / "talk.wav", *SENTENCES)
        srt = until(lambda: text_of(inbox / "talk.srt"))
    blocks = re.findall(r"(\d+)\n(\S+) --> (\S+)\n(.+)\n", srt)
    assert [block[0] for block in blocks] == ["1", "2"]
    times = [time for block in blocks for time in block[1:3]]
    assert times == sorted(times) and times[0] == "00:00:00,000"
    assert "account" in blocks[0][3].lower()
    assert newest(reader, "subtitles.db")["run"]["key"].startswith("subtitles.files inbox ")


async def test_at_night_a_better_prompt_is_found_and_a_person_puts_it_into_production(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reader.folder)  # where a person would have started the worker
    monkeypatch.setenv("PATH", reader.environment["PATH"])
    assert await in_production(reader) == "name-capital@2"
    (evaluation,) = load(EXAMPLES / "workflows/evaluation.py")
    night = datetime(2030, 1, 15, 1, 59, 59, 500_000, tzinfo=UTC).timestamp()
    later_s = night - time.time()  # half a second before three o'clock in Berlin
    file = reader.folder / "evaluation.db"
    journal = Journal(lambda: SqliteConnection(file, prepare))
    bench = Bench(journal, reader.url)
    async with bench.serving(evaluation, clock=lambda: time.time() + later_s):
        while not (asked := await journal.questions()):
            assert not [run for run in await journal.runs() if run.state.ended]
            await bench.a_moment()
        (run,) = await journal.runs()
        assert run.key == "evaluation.cron 0 3 * * * Europe/Berlin 2030-01-15T03:00:00+01:00"
        assert await in_production(reader) == "name-capital@2"
        done = reader.runs("headway", "approve", asked[0].run, "--journal", str(file))
        assert done.returncode == 0, done.stderr
        ended = await bench.until(run.id, "finished", "failed")
    journal.close()
    assert json.loads(ended.output_json or "{}")["promoted"] is True
    while await in_production(reader) != "name-capital@3":  # the gateway looks every two seconds
        await bench.a_moment()


def example(name: str) -> Any:
    """The module of an example."""
    (workflow,) = load(EXAMPLES / f"workflows/{name}.py")
    return sys.modules[workflow.function.__module__]


def newest(reader: Reader, journal: str) -> dict[str, Any]:
    """The newest run of a journal, with its steps."""
    listed = reader.runs("headway", "runs", "list", "--json", "--journal", journal)
    run = json.loads(listed.stdout)[0]["id"]
    shown = reader.runs("headway", "runs", "show", run, "--json", "--journal", journal)
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def say(reader: Reader, file: Path, *texts: str) -> None:
    """Write a recording of texts, with silences between them."""
    parts = [file.with_name(f"{number}.part") for number in range(len(texts))]
    for part, text in zip(parts, texts, strict=True):
        voice = ("-v", "en-us+f3", "-s", "130")
        assert reader.runs("espeak-ng", *voice, "-w", str(part), text).returncode == 0
    inputs = [word for part in parts for word in ("-i", str(part))]
    padded = ";".join(f"[{number}]apad=pad_dur=1[{number}p]" for number in range(len(parts)))
    joined = "".join(f"[{number}p]" for number in range(len(parts)))
    joined = f"{padded};{joined}concat=n={len(parts)}:v=0:a=1"
    done = reader.runs(
        "ffmpeg", "-loglevel", "error", *inputs, "-filter_complex", joined, str(file)
    )
    assert done.returncode == 0, done.stderr


def until(look: Callable[[], str]) -> str:
    """What is there, once it is."""
    give_up_s = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < give_up_s, "it did not come within a minute"
        time.sleep(0.05)  # between two looks at a file of another process
    return found


def text_of(file: Path) -> str:
    """The text of a file; empty while there is none."""
    return file.read_text(encoding="utf-8") if file.exists() else ""


async def in_production(reader: Reader) -> str:
    """Which version a request for the prompt gets."""
    body = {"prompt": {"id": "name-capital", "variables": {"country": "France"}}, "max_tokens": 1}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{reader.url}/v1/chat/completions", json=body) as answer,
    ):
        return answer.headers["x-headway-prompt"]
