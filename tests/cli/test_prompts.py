"""`headway prompts` as its user meets it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.inside import Run
from tests.cli.inside import run as run
from tests.cli.test_without_extras import without
from tests.gateway.fake_backend import FakeBackend
from tests.prompts.files import GREET, write

from headway.extras import install_extra

TESTS = """
cases:
- {name: first words, variables: {name: Ada}, expect: {contains: word1}}
- {name: no words, variables: {name: Ada}, expect: {equals: nothing}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two prompts in `prompts`, where they are looked for."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "prompts", "greet", GREET, GREET.replace("Hello", "Good day,"))
    write(tmp_path / "prompts", "part", "---\nmax_tokens: 9\n---\nBye")
    return tmp_path


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a server in a loop that runs while the command does."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    backend = FakeBackend()
    asyncio.run_coroutine_threadsafe(backend.start(), loop).result(10)
    yield backend.url
    asyncio.run_coroutine_threadsafe(backend.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def test_a_prompt_on_its_way_from_a_draft_to_production(run: Run) -> None:
    shown = run("prompts", "show", "greet").out
    assert shown.startswith("greet@2: prompts/greet/2.md\nsha256 ") and "a draft" in shown
    assert shown.endswith("Good day, {{ name }}!\n")
    done = run("prompts", "promote", "greet@1")
    assert done.out == "greet@production is greet@1 now; commit prompts/greet/published.yaml\n"
    assert "published, production" in run("prompts", "show", "greet").out
    diff = run("prompts", "diff", "greet").out
    assert "--- greet@1\n+++ greet@2\n" in diff and "-Hello {{ name }}!\n+Good day" in diff
    done = run("prompts", "promote", "greet")
    assert "is greet@2 now, and was greet@1;" in done.out
    run("prompts", "promote", "greet@1", "--to", "old")
    listed = json.loads(run("prompts", "list", "--json", "-").out)
    assert listed["problems"] == [] and [one["name"] for one in listed["prompts"]] == [
        "greet",
        "part",
    ]
    greet = listed["prompts"][0]
    assert greet["aliases"] == {"old": 1, "production": 2} and greet["published"] == [1, 2]
    assert greet["default"] == 2 and greet["versions"] == [1, 2]
    table = run("prompts", "list").out
    assert "old 1, production 2" in table and "part" in table


def test_a_prompt_is_rendered_as_a_model_gets_it(run: Run, folder: Path) -> None:
    done = run("prompts", "render", "greet@1", "--var", "name=Ada {{ x }}")
    assert done.out == "--- user\nHello Ada {{ x }}!\n"
    (folder / "values.json").write_text('{"name": "Bob"}')
    done = run("prompts", "render", "greet", "--vars", "values.json", "--json")
    assert json.loads(done.out) == {"messages": [{"role": "user", "content": "Good day, Bob!"}]}
    assert run("prompts", "render", "part").out == "max_tokens: 9\n--- user\nBye\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("render", "greet"), 1, "the prompt greet@2 needs a value for the variable 'name'"),
        (("render", "greet", "--var", "name"), 2, "--var name: write it as NAME=VALUE"),
        (("render", "greet", "--vars", "none.json"), 1, "none.json cannot be read"),
        (("show", "gret"), 1, "there is no prompt 'gret'; there are: greet, part"),
        (("diff", "greet", "1", "9"), 1, "no version '9'"),
        (("promote", "greet", "--to", "2"), 1, "--to: '2' cannot be an alias"),
        (("list", "--prompts", "none"), 1, "the prompts in none cannot be read"),
        (("test", "greet"), 1, "greet has no tests; write them in prompts/greet/tests.yaml"),
        (("test",), 1, "no prompt in prompts has a tests.yaml"),
    ],
)
def test_what_is_wrong_is_one_line(
    run: Run, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = run("prompts", *arguments)
    assert done.code == code and done.out == ""
    assert done.error.startswith("headway: ") and says in done.error


def test_a_published_version_that_changed_is_said_and_not_promoted(run: Run, folder: Path) -> None:
    run("prompts", "promote", "greet")
    (folder / "prompts/greet/2.md").write_text(GREET)
    done = run("prompts", "list")
    assert done.code == 1
    assert "wrong: prompts/greet/2.md: was changed after it was published" in done.out
    assert "was changed" in run("prompts", "promote", "greet").error


def test_the_setting_names_the_folder(run: Run, folder: Path) -> None:
    (folder / "prompts").rename(folder / "elsewhere")
    (folder / "headway.yaml").write_text("prompts: elsewhere\n")
    assert "greet" in run("prompts", "list").out
    assert "greet" in run("prompts", "list", "--prompts", "elsewhere").out


def test_cases_are_run_and_failures_are_said(run: Run, folder: Path, url: str) -> None:
    (folder / "prompts/greet/tests.yaml").write_text(TESTS)
    done = run("prompts", "test", "--url", url, "--json", "results.json")
    assert done.code == 1
    assert "1 of 2 passed" in done.out and "is not 'nothing': 'word0" in done.out
    results = json.loads((folder / "results.json").read_text())
    assert results["failed"] == 1
    assert [one["passed"] for one in results["results"]] == [True, False]
    assert results["results"][0]["prompt"] == "greet@2"
    (folder / "prompts/greet/tests.yaml").write_text(TESTS.rpartition("- ")[0])
    done = run("prompts", "test", "greet@1", "--url", f"{url}/v1")
    assert done.code == 0, done.out + done.error
    assert "greet@1" in done.out and "1 of 1 passed" in done.out


def test_a_check_looks_at_them(run: Run, folder: Path) -> None:
    (folder / "headway.yaml").write_text("models: []\nprompts: prompts\nlog: {requests_db: a.db}\n")
    assert "prompts   prompts: greet, part\n" in run("check").out
    (folder / "prompts/part/2.md").write_text("{{ who }}")
    done = run("check")
    assert done.code == 1
    assert "prompts   does not work: prompts/part/2.md: it uses 'who'" in done.out
    (folder / "headway.yaml").write_text("models: []\nprompts: none\nlog: {requests_db: a.db}\n")
    assert "does not work: the prompts in none cannot be read" in run("check").out


def test_a_gateway_does_not_start_on_a_folder_that_is_not_there(run: Run) -> None:
    done = run("serve", "--prompts", "none", "--backend", "http://127.0.0.1:9", "--port", "0")
    assert done.code == 1 and "the prompts in none cannot be read" in done.error


@pytest.mark.parametrize("module", ["jinja2"])
def test_what_to_install_is_said(module: str) -> None:
    said = without(module, "prompts", "list").stderr.strip()
    assert said == f"headway: prompts need jinja2: {install_extra('prompts')}"
