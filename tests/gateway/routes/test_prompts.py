"""Registered prompts over HTTP: listed for all, read and changed by admins, cases run on them."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import Serve
from tests.gateway.fake_backend import FakeBackend
from tests.prompts.files import CASES, GREET, OTHER, write

from headway.gateway.keys.keys import hash_key
from headway.gateway.routes import prompt_trials
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey
from headway.prompts.prompt_files import text_hash
from headway.prompts.published import publish
from headway.prompts.registry import read_registry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "prompts"
    write(folder, "greet", GREET, OTHER, tests_yaml=CASES)
    publish(folder / "greet", read_registry(folder).prompt("greet", 1), "production")
    return folder


async def asked(
    gateway: Gateway, http: aiohttp.ClientSession, path: str = "", body: Any = None, key: str = ""
) -> tuple[int, Any]:
    """Returns the status, and the answer or its sentence."""
    url = f"{gateway.address}/v1/headway/prompts{path}"
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    method = "GET" if body is None else "POST"
    async with http.request(method, url, json=body, headers=headers) as answer:
        if answer.content_type == "text/event-stream":
            text = await answer.text()
            return 200, [json.loads(one[6:]) for one in text.split("\n\n") if one]
        found = await answer.json()
        return answer.status, found if answer.ok else found["error"]["message"]


async def test_they_are_listed_with_versions_and_variables(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, folder: Path
) -> None:
    write(folder, "broken", "Hi {{")
    gateway = await serve(backend, prompts=folder)
    _, found = await asked(gateway, http)
    broken, greet = found["prompts"]
    assert not broken["versions"][0]["usable"] and len(found["problems"]) == 1
    assert (greet["default"], greet["aliases"]) == (1, {"production": 1})
    assert [one["published"] for one in greet["versions"]] == [True, False]
    (variable,) = greet["versions"][0]["variables"]
    assert (variable["name"], variable["type"], variable["required"]) == ("name", "string", True)


async def test_without_a_folder_there_are_none(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    assert await asked(gateway, http) == (
        200, {"configured": False, "prompts": [], "problems": []}
    )  # fmt: skip
    status, says = await asked(gateway, http, "/greet/versions/1", {"text": GREET})
    assert status == 404 and "setting `prompts`" in says


async def test_files_are_shown_as_they_are_and_so_is_what_is_wrong(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, folder: Path
) -> None:
    write(folder, "greet", GREET, "Hi {{", tests_yaml="cases: 1")
    gateway = await serve(backend, prompts=folder)
    _, greet = await asked(gateway, http, "/greet")
    one, two = greet["versions"]
    assert (one["text"], one["sha256"], one["problem"]) == (GREET, text_hash(GREET), "")
    assert two["text"] == "Hi {{" and "2.md:1" in two["problem"]
    assert "tests.yaml" in greet["cases"]["problem"] and greet["cases"]["text"] == "cases: 1"
    assert (await asked(gateway, http, "/nosuch"))[0] == 404


async def test_what_is_saved_is_used_at_once_and_logged(
    serve: Serve,
    backend: FakeBackend,
    http: aiohttp.ClientSession,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateway = await serve(backend, prompts=folder)
    with caplog.at_level(logging.INFO):
        change = {"text": OTHER.replace("!", "."), "instead_of": text_hash(OTHER)}
        status, done = await asked(gateway, http, "/greet/versions/2", change)
        assert (status, done["done"]) == (200, "Prompt greet@2 is written.")
    assert "prompt greet@2 is written, by somebody on this machine" in caplog.text
    prompt = {"id": "greet", "version": "2", "variables": {"name": "Ada"}}
    await http.post(f"{gateway.address}/v1/chat/completions", json={"prompt": prompt})
    assert backend.requests[-1][1]["messages"][0]["content"] == "Good day, Ada."
    status, _ = await asked(gateway, http, "/greet/versions/3", {"text": GREET})
    assert status == 200 and (folder / "greet" / "3.md").read_text() == GREET
    move = {"version": 3, "instead_of": 1}
    _, done = await asked(gateway, http, "/greet/aliases/production", move)
    assert done["done"] == "Prompt greet@production is greet@3 now, and was greet@1."
    assert (await asked(gateway, http))[1]["prompts"][0]["default"] == 3


@pytest.mark.parametrize(
    ("path", "change", "status", "says"),
    [
        ("greet/versions/2", {"text": GREET, "instead_of": "0"}, 409, "was changed meanwhile"),
        ("greet/versions/2", {"text": GREET}, 409, "is there already"),
        ("greet/versions/1", {"text": OTHER, "instead_of": "0"}, 400, "save it as a new version"),
        ("greet/versions/x", {"text": GREET}, 400, "cannot be the number of a version"),
        ("greet/versions/3", {"text": "Hi {{"}, 400, "3.md:1"),
        (".git/versions/1", {"text": GREET}, 400, "cannot be the name of a prompt"),
        ("greet/cases", {"text": "cases: 1", "instead_of": text_hash(CASES)}, 400, "tests.yaml"),
        ("nosuch/cases", {"text": CASES}, 404, "there is no prompt"),
        ("greet/aliases/production", {"version": 2, "instead_of": 2}, 409, "is greet@1 by now"),
        ("greet/aliases/7", {"version": 2}, 400, "cannot be an alias"),
        ("greet/aliases/live", {"version": 9}, 404, "has no version '9'"),
        ("greet/trials", {"versions": ["9"]}, 404, "has no version '9'"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_written(
    path: str,
    change: dict[str, Any],
    status: int,
    says: str,
    serve: Serve,
    backend: FakeBackend,
    http: aiohttp.ClientSession,
    folder: Path,
) -> None:
    gateway = await serve(backend, prompts=folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found, message = await asked(gateway, http, f"/{path}", change)
    assert found == status and says.lower() in message.lower() and message.endswith(".")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


async def test_only_admins_see_texts_and_only_those_who_may_write_change_them(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, folder: Path
) -> None:
    write(folder, "broken", "Hi {{")
    keys = (
        ApiKey("team", hash_key("team")),
        ApiKey("looks", hash_key("looks"), admin=True, read_only=True),
        ApiKey("ops", hash_key("ops"), admin=True),
    )
    gateway = await serve(backend, prompts=folder, keys=keys)
    change = {"text": GREET}
    seen = {}
    for key in ("team", "looks", "ops"):
        status, listed = await asked(gateway, http, key=key)
        assert status == 200 and bool(listed["problems"]) == (key != "team")
        text, _ = await asked(gateway, http, "/greet", key=key)
        trial, _ = await asked(gateway, http, "/greet/trials", {"versions": [1]}, key)
        written, _ = await asked(gateway, http, "/greet/versions/3", change, key)
        seen[key] = (text, trial, written)
    assert seen == {"team": (403, 403, 403), "looks": (200, 403, 403), "ops": (200, 200, 200)}


async def test_cases_are_run_on_versions_and_aliases(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, folder: Path
) -> None:
    gateway = await serve(backend, prompts=folder)
    trials = {"versions": ["production", 2, 1], "model": "fake"}
    _, events = await asked(gateway, http, "/greet/trials", trials)
    assert [one["answered"] for one in events] == [0, 1, 2, 3, 4, 4]
    results = events[-1]["results"]
    assert [(one["case"], one["version"]) for one in results] == [
        ("ends", 1), ("ends", 2), ("short", 1), ("short", 2)
    ]  # fmt: skip
    assert [one["failures"] for one in results[:2]] == [[], []]
    assert results[2]["failures"] == ["has 100 tokens, more than 3"]
    assert results[0]["answer"].startswith("word0") and results[0]["output_tokens"] == 100
    said = {body["messages"][0]["content"] for _, body in backend.requests}
    assert said == {"Hello Ada!", "Good day, Ada!"}
    assert {body["model"] for _, body in backend.requests} == {"fake"}


async def test_an_author_s_function_runs_beside_the_gateway(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, folder: Path
) -> None:
    text = "cases: [{name: odd, variables: {name: A}, expect: {python: 'checks.py:odd'}}]"
    checks = "import os\nprint('noise')\ndef odd(answer, _):\n    return str(os.getppid())\n"
    write(folder, "greet", GREET, tests_yaml=text, checks_py=checks)
    gateway = await serve(backend, prompts=folder)
    _, events = await asked(gateway, http, "/greet/trials", {"versions": [1]})
    assert events[-1]["results"][0]["failures"] == [str(__import__("os").getpid())]
    (folder / "greet" / "checks.py").unlink()
    _, events = await asked(gateway, http, "/greet/trials", {"versions": [1]})
    assert "checks.py cannot be run: FileNotFoundError" in events[-1]["error"]["message"]


async def test_an_endless_regular_expression_holds_nothing_up(
    serve: Serve,
    backend: FakeBackend,
    http: aiohttp.ClientSession,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prompt_trials, "CHECKS_S", 2.0)
    backend.message = {"content": "a" * 60 + "b"}
    text = "cases: [{name: endless, variables: {name: A}, expect: {regex: '^(a+)+$'}}]"
    write(folder, "greet", GREET, tests_yaml=text)
    gateway = await serve(backend, prompts=folder)
    _, events = await asked(gateway, http, "/greet/trials", {"versions": [1]})
    assert "that took longer than 2 s" in events[-1]["error"]["message"]


async def test_trials_end_with_whoever_wanted_them(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, folder: Path
) -> None:
    gateway = await serve(backend, prompts=folder)
    backend.open.clear()
    task = asyncio.create_task(asked(gateway, http, "/greet/trials", {"versions": [1, 2]}))
    while len(gateway.dispatcher.works) < 4:
        await asyncio.sleep(0)
    task.cancel()
    while gateway.dispatcher.works:
        await asyncio.sleep(0.001)
