"""The worker's API and page: start, look, answer, cancel; who may."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from tests.workflows.conftest import Bench, Served

import headway
from headway.workflows.http.server import NotAllowed


@headway.workflow
async def greeting(name: str) -> str:
    kind = await headway.ask("Which <greeting>?", choices=["Hello", "Bye"], about={"to": name})
    return f"{kind}, {name}"


@headway.workflow
async def paid() -> Any:
    return await headway.receive("paid")


async def call(
    served: Served, method: str, path: str, body: Any = None, **options: Any
) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, served.address + path, json=body, **options) as answer,
    ):
        if answer.content_type == "application/json":
            return answer.status, await answer.json()
        return answer.status, await answer.text()


async def test_a_run_is_started_answered_and_shown(bench: Bench) -> None:
    async with bench.serving(greeting) as served:
        status, run = await call(
            served, "POST", "/v1/runs", {"workflow": "greeting", "input": {"name": "Ada"}}
        )
        assert status == 201
        await bench.until(run["id"], "waiting")
        _, asked = await call(served, "GET", "/v1/questions")
        assert asked["questions"][0]["question"]["choices"] == ["Hello", "Bye"]
        path = f"/v1/runs/{run['id']}/answers/ask"
        status, error = await call(served, "POST", path, {"accept": True, "value": "Hi"})
        assert (status, error["error"]["message"]) == (400, "choose one of Hello, Bye, not 'Hi'")
        yes = {"accept": True, "value": "Hello", "by": "bob"}
        assert (await call(served, "POST", path, yes))[0] == 200
        status, error = await call(served, "POST", path, {"accept": True, "value": "Bye"})
        assert (status, error["error"]["message"]) == (409, "bob has answered ask before")
        await bench.until(run["id"], "finished")
        _, shown = await call(served, "GET", f"/v1/runs/{run['id']}")
        assert shown["output"] == "Hello, Ada"
        assert shown["steps"][0]["answered_by"] == "bob"


@pytest.mark.parametrize("body", [{}, {"accepted": False}, {"accept": "no"}, {"value": "Hello"}])
async def test_an_answer_that_says_neither_yes_nor_no_is_refused(
    bench: Bench, body: dict[str, Any]
) -> None:
    async with bench.serving(greeting) as served:
        row = await bench.start(greeting, name="Ada")
        await bench.until(row.id, "waiting")
        status, _ = await call(served, "POST", f"/v1/runs/{row.id}/answers/ask", body)
        assert status == 400
        assert len(await bench.journal.questions()) == 1


async def test_people_answer_on_the_page(bench: Bench) -> None:
    async with bench.serving(greeting) as served:
        row = await bench.start(greeting, name="<b>Eve</b>")
        await bench.until(row.id, "waiting")
        _, html = await call(served, "GET", "/")
        assert "Which &lt;greeting&gt;?" in html and "<b>Eve" not in html
        form = aiohttp.FormData({"run": row.id, "path": "ask", "choice": "Bye", "by": "eve"})
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{served.address}/", data=form) as answer,
        ):
            assert "Nobody is asked anything" in await answer.text()
        row = await bench.until(row.id, "finished")
        assert row.output_json == '"Bye, <b>Eve</b>"'


async def test_a_page_of_another_site_may_not_answer(bench: Bench) -> None:
    async with bench.serving(greeting) as served:
        headers = {"sec-fetch-site": "cross-site"}
        assert (await call(served, "POST", "/", headers=headers))[0] == 403
        headers = {"host": "evil.example"}
        assert (await call(served, "GET", "/v1/runs", headers=headers))[0] == 403


async def test_with_a_key_only_who_has_it_may_ask(bench: Bench) -> None:
    async with bench.serving(greeting, key="long-secret") as served:
        assert (await call(served, "GET", "/v1/runs"))[0] == 401
        headers = {"authorization": "Bearer long-secret"}
        assert (await call(served, "GET", "/v1/runs", headers=headers))[0] == 200
        assert (await call(served, "GET", "/healthz"))[0] == 200


async def test_nobody_listens_to_others_without_a_key(bench: Bench) -> None:
    with pytest.raises(NotAllowed, match="set HEADWAY_WORKER_KEY"):
        async with bench.serving(greeting, host="0.0.0.0"):
            pass


async def test_an_event_is_sent_to_a_run(bench: Bench) -> None:
    async with bench.serving(paid) as served:
        row = await bench.start(paid)
        await bench.until(row.id, "waiting")
        assert (await call(served, "POST", f"/v1/runs/{row.id}/events/paid", {"sum": 5}))[0] == 200
        row = await bench.until(row.id, "finished")
        assert row.output_json == '{"sum": 5}'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"workflow": "nothing"}, "there is no workflow nothing; there are: greeting"),
        ({"workflow": "greeting"}, "greeting needs name; it takes name: str"),
        ({"workflow": "greeting", "input": {"name": "a", "x": 1}}, "greeting has no x"),
        ({"workflow": "greeting", "input": {"name": 3}}, "greeting cannot take this input"),
        ([], "the body has to be a JSON object"),
    ],
)
async def test_a_wrong_start_is_refused(bench: Bench, body: Any, why: str) -> None:
    async with bench.serving(greeting) as served:
        status, answer = await call(served, "POST", "/v1/runs", body)
        assert status == 400
        assert why in answer["error"]["message"]
        assert (await call(served, "GET", "/v1/runs/zzz"))[0] == 404
