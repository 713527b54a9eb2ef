"""The worker's API and page: start, look, answer, cancel; who may."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

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
        for path in ("answers/paid", "events/ask", "events/paid#2"):  # nothing waits for that
            told = await call(served, "POST", f"/v1/runs/{row.id}/{quote(path)}", {"accept": True})
            assert told[0] == 409, path
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


async def test_other_sites_cannot_frame_the_page_or_post_to_it(bench: Bench) -> None:
    async with bench.serving(greeting) as served, aiohttp.ClientSession() as http:
        async with http.get(served.address) as answer:
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["cache-control"] == "no-store"
        headers = {"origin": "https://evil.example"}
        assert (await call(served, "POST", "/", headers=headers))[0] == 403
        headers = {"origin": served.address}
        assert (await call(served, "POST", "/v1/runs", {}, headers=headers))[0] == 400


async def test_the_key_does_not_stay_in_the_address(bench: Bench) -> None:
    async with (
        bench.serving(greeting, key="long-secret") as served,
        aiohttp.ClientSession() as http,
        http.get(f"{served.address}/?key=long-secret", allow_redirects=False) as answer,
    ):
        assert (answer.status, answer.headers["location"]) == (303, "/")
        assert "HttpOnly" in answer.headers["set-cookie"]


async def test_what_makes_no_sense_is_refused_in_a_sentence(bench: Bench) -> None:
    async with bench.serving(greeting, paid, key="long-secret") as served:
        own = {"authorization": "Bearer long-secret"}
        row = await bench.start(greeting, name="Ada")
        await bench.until(row.id, "waiting")
        for path, body in (
            ("/v1/runs", b'{"workflow": "greeting", "key": 5}'),
            (f"/v1/runs/{row.id}/retry", b'{"from": ["ask"]}'),
            (f"/v1/runs/{row.id}/events/paid", b"{"),
            ("/v1/runs", b"[" * 100_000),
        ):
            async with (
                aiohttp.ClientSession() as http,
                http.post(served.address + path, data=body, headers=own) as answer,
            ):
                assert answer.status == 400, path
                assert (await answer.json())["error"]["message"]
        nul = {"accept": True, "value": "Hello", "by": "a\0b"}
        answered = f"/v1/runs/{row.id}/answers/ask"
        assert (await call(served, "POST", answered, nul, headers=own))[0] == 200
        wrong = {"authorization": b"Bearer \xff".decode("latin-1")}
        assert (await call(served, "GET", "/v1/runs", headers=wrong))[0] == 401


async def test_a_client_that_sends_nothing_is_let_go(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.workflows.http.server.MOST_S", 0.05)

    async with bench.serving(greeting) as served:
        reader, writer = await asyncio.open_connection(*served.address[7:].split(":"))
        writer.write(b"POST /v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n")
        assert b"408" in await asyncio.wait_for(reader.readline(), 10)
        writer.close()


async def test_runs_come_in_pages_and_in_outline(bench: Bench) -> None:
    async with bench.serving(greeting) as served:
        rows = [await bench.start(greeting, name=f"{number}") for number in range(5)]
        for row in rows:
            await bench.until(row.id, "waiting")
        newest = [row.id for row in reversed(rows)]
        seen, after = [], ""
        while True:
            _, page = await call(served, "GET", f"/v1/runs?limit=2{after}")
            seen += [one["id"] for one in page["runs"]]
            assert all("input" not in one and one["steps"] == 1 for one in page["runs"])
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert seen == newest
        assert page["workflows"] == ["greeting"]
        _, page = await call(served, "GET", "/v1/runs?state=finished")
        assert page["runs"] == []


async def test_a_run_is_shown_as_a_graph(bench: Bench) -> None:
    async with bench.serving(greeting) as served:
        row = await bench.start(greeting, name="Ada")
        await bench.until(row.id, "waiting")
        _, shown = await call(served, "GET", f"/v1/runs/{row.id}/graph")
        assert shown["run"]["state"] == "waiting"
        assert [(one["id"], one["state"]) for one in shown["nodes"]] == [("ask", "waiting")]
        assert shown["steps"][0]["asks"] == "Which <greeting>?"
        assert (await call(served, "GET", "/v1/runs/zzz/graph"))[0] == 404
