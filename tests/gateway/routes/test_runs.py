"""Runs of workers through the gateway: who sees them, who answers, and what is said of failures."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import Serve
from tests.gateway.fake_backend import FakeBackend
from tests.workflows.conftest import Bench

import headway
from headway.gateway.keys.keys import hash_key
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey, WorkerSettings
from headway.store.sqlite import SqliteConnection
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.schema import prepare

NAMES: dict[str, dict[str, Any]] = {
    "acme": {},
    "globex": {},
    "boss": {"admin": True},
    "looks": {"tenant": "acme", "read_only": True},
}
KEYS = tuple(ApiKey(name, hash_key(name), **options) for name, options in NAMES.items())


@headway.workflow
async def publish(text: str) -> Any:
    return await headway.gather(headway.ask(f"Publish {text}?"), headway.ask("And #2?", edit=text))


@pytest.fixture
async def bench(tmp_path: Path, stack: AsyncExitStack) -> Bench:
    journal = Journal(lambda: SqliteConnection(tmp_path / "workflows.db", prepare))
    stack.callback(journal.close)
    return Bench(journal)


async def asked(
    gateway: Gateway, key: str, path: str, json: Any = None, **headers: str
) -> tuple[int, Any]:
    """Status and JSON of an answer; to a POST if there is a body."""
    method = "GET" if json is None else "POST"
    if key:
        headers["authorization"] = f"Bearer {key}"
    url = f"{gateway.address}/v1/headway/workers{path}"
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, url, json=json, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def test_a_tenant_sees_and_answers_the_runs_of_its_worker_and_others_do_not(
    serve: Serve,
    backend: FakeBackend,
    bench: Bench,
    stack: AsyncExitStack,
    caplog: pytest.LogCaptureFixture,
) -> None:
    served = await stack.enter_async_context(bench.serving(publish, key="long-secret"))
    workers = (
        WorkerSettings("reports", served.address, "long-secret", "acme"),
        WorkerSettings("inner", served.address, "long-secret"),
    )
    gateway = await serve(backend, keys=KEYS, workers=workers)
    row = await bench.start(publish, text="it")
    await bench.until(row.id, "waiting")
    seen = {key: (await asked(gateway, key, ""))[1]["workers"] for key in NAMES}
    assert [[one["name"] for one in seen[key]] for key in NAMES] == [
        ["reports"],
        [],
        ["reports", "inner"],
        ["reports"],
    ]
    for key, worker in (("globex", "reports"), ("acme", "inner"), ("acme", "nosuch")):
        for path in ("runs", f"runs/{row.id}", "questions"):
            assert (await asked(gateway, key, f"/{worker}/{path}"))[0] == 404
        answer = {"path": "gather[0]/ask", "accept": True}
        refused = await asked(gateway, key, f"/{worker}/runs/{row.id}/answers", answer)
        assert refused[0] == 404
    mine = f"/reports/runs/{row.id}"
    _, listed = await asked(gateway, "acme", "/reports/runs?state=waiting")
    assert [one["id"] for one in listed["runs"]] == [row.id]
    _, graph = await asked(gateway, "looks", mine)
    assert [one["id"] for one in graph["nodes"]] == ["gather[0]/ask", "gather[1]/ask"]
    yes = {"path": "gather[0]/ask", "accept": True}
    assert (await asked(gateway, "looks", f"{mine}/answers", yes))[0] == 403
    with caplog.at_level("INFO"):
        assert (await asked(gateway, "acme", f"{mine}/answers", yes))[0] == 200
    assert f"run {row.id}: accepted gather[0]/ask, by key acme" in caplog.text
    status, twice = await asked(gateway, "boss", f"{mine}/answers", yes)
    assert status == 409
    assert twice["error"]["message"] == "Key acme has answered gather[0]/ask before."
    edited = {"path": "gather[1]/ask", "accept": True, "value": "better"}
    await asked(gateway, "boss", f"{mine}/answers", edited)
    row = await bench.until(row.id, "finished")
    assert row.output_json == '[true, "better"]'
    steps = await bench.journal.steps(row.id)
    assert [one.answered_by for one in steps.values()] == ["key acme", "key boss"]


async def test_a_run_is_cancelled_and_runs_again(
    serve: Serve, backend: FakeBackend, bench: Bench, stack: AsyncExitStack
) -> None:
    served = await stack.enter_async_context(bench.serving(publish))
    gateway = await serve(backend, workers=(WorkerSettings("w", served.address),))
    row = await bench.start(publish, text="it")
    await bench.until(row.id, "waiting")
    assert (await asked(gateway, "", f"/w/runs/{row.id}/cancel", {}))[0] == 200
    await bench.until(row.id, "cancelled")
    assert (await asked(gateway, "", f"/w/runs/{row.id}/retry", {}))[0] == 200
    await bench.until(row.id, "waiting")
    status, wrong = await asked(gateway, "", "/w/runs/zzz")
    assert status == 404 and wrong["error"]["message"].startswith("There is no run zzz")


async def test_without_keys_only_this_machine_sees_them(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend, workers=(WorkerSettings("w", "http://127.0.0.1:9"),))
    status, _ = await asked(gateway, "", "", **{"x-forwarded-for": "10.0.0.1"})
    assert status == 403


async def test_a_worker_that_is_away_or_another_server_is_named_with_what_to_do(
    serve: Serve, backend: FakeBackend, bench: Bench, stack: AsyncExitStack
) -> None:
    served = await stack.enter_async_context(bench.serving(publish, key="long-secret"))
    workers = (
        WorkerSettings("away", "http://127.0.0.1:9"),
        WorkerSettings("locked", served.address, "wrong"),
        WorkerSettings("other", backend.url.removesuffix("/v1")),
    )
    gateway = await serve(backend, workers=workers)
    says = {
        "away": (503, "Worker away does not answer: connection refused; start it with"),
        "locked": (502, "Worker locked does not take the gateway's key: let key_env"),
        "other": (502, "and not as a worker does; mend its address"),
    }
    for name, (status, sentence) in says.items():
        found = await asked(gateway, "", f"/{name}/runs")
        assert found[0] == status and sentence in found[1]["error"]["message"]
