"""What was served, over HTTP: pages, one request's life, figures, CSV; and who sees them."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from typing import Any

import aiohttp
import openai
import pytest
from tests.gateway.conftest import HELLO, Serve, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend
from tests.store.history.rows import fill, record

from headway.gateway.keys.keys import hash_key
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey
from headway.store.request_log import RequestLog

HISTORY = "/v1/headway/history"
ADMIN = ApiKey("ops", hash_key("admin-key"), admin=True)
ACME = ApiKey("acme", hash_key("acme-key"))
NOW_S = time.time()


def filled(log: RequestLog, count: int = 6, **changes: Any) -> None:
    """Requests of two tenants, a minute apart until now; the rollups have them."""
    records = [
        record(
            number,
            **{
                "arrival_unix_s": NOW_S - 60.0 * (count - number),
                "tenant": "acme" if number % 2 else "umbrella",
                "total_ms": 100.0 * (number + 1),
            }
            | changes,
        )
        for number in range(count)
    ]
    fill(log, records, NOW_S)


async def get(
    gateway: Gateway, path: str, key: str | None = None, status: int = 200, **query: Any
) -> Any:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession() as http,
        http.get(gateway.address + HISTORY + path, params=query, headers=headers) as answer,
    ):
        text = await answer.text()
        assert answer.status == status, text
        return await answer.json() if answer.content_type == "application/json" else text


async def test_pages_follow_each_other(serve: Serve, log: RequestLog) -> None:
    filled(log)
    gateway = await serve(ExactEngine(), request_log=log)
    seen, after = [], {}
    while True:
        page = await get(gateway, "", limit=4, **after)
        seen += [row["id"] for row in page["data"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == [f"req-{number}" for number in reversed(range(6))]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"tenant": "acme"}, [5, 3, 1]),
        ({"min_latency_ms": 500}, [5, 4]),
        ({"outcome": "failed"}, []),
        ({"since": NOW_S - 150.0}, [5, 4]),
        ({"until": NOW_S - 330.0}, [0]),
        ({"model": "smol", "tier": "standard", "tenant": "umbrella"}, [4, 2, 0]),
    ],
)
async def test_requests_are_filtered(
    serve: Serve, log: RequestLog, query: dict[str, Any], numbers: list[int]
) -> None:
    filled(log)
    gateway = await serve(ExactEngine(), request_log=log)
    page = await get(gateway, "", **query)
    assert [row["id"] for row in page["data"]] == [f"req-{number}" for number in numbers]


async def test_a_key_sees_its_own_tenant_only(serve: Serve, log: RequestLog) -> None:
    filled(log)
    gateway = await serve(ExactEngine(), request_log=log, keys=(ADMIN, ACME))
    assert {row["tenant"] for row in (await get(gateway, "", "acme-key"))["data"]} == {"acme"}
    assert len((await get(gateway, "", "admin-key"))["data"]) == 6
    await get(gateway, "", "acme-key", 404, tenant="umbrella")
    await get(gateway, "/req-1", "acme-key")
    await get(gateway, "/req-2", "acme-key", 404)
    await get(gateway, "/series", "acme-key", 404, tenant="umbrella")
    series = await get(gateway, "/series", "acme-key", by="tenant")
    assert [line["name"] for line in series["lines"]] == ["acme"]
    rows = list(csv.DictReader(io.StringIO(await get(gateway, ".csv", "acme-key"))))
    assert {row["tenant"] for row in rows} == {"acme"}
    await get(gateway, "", None, 401)


async def test_the_slowest_are_of_one_page(serve: Serve, log: RequestLog) -> None:
    filled(log)
    gateway = await serve(ExactEngine(), request_log=log)
    found = await get(gateway, "", since=NOW_S - 3600.0, slowest_by="latency", limit=2)
    assert [row["id"] for row in found["data"]] == ["req-5", "req-4"] and found["next"] is None


async def test_figures_over_time(serve: Serve, log: RequestLog) -> None:
    filled(log)
    gateway = await serve(ExactEngine(), request_log=log)
    found = await get(gateway, "/series", since=NOW_S - 3600.0, by="tenant")
    assert found["step_s"] == 60
    assert {line["name"]: line["whole"]["requests"] for line in found["lines"]} == {
        "acme": 3,
        "umbrella": 3,
    }
    acme = next(line for line in found["lines"] if line["name"] == "acme")
    assert acme["whole"]["percentiles_ms"]["p99"] == pytest.approx(600.0, rel=0.01)
    assert sum(acme["output_tokens"]) == 60
    waits = await get(gateway, "/series", since=NOW_S - 3600.0, measure="wait")
    assert waits["lines"][0]["whole"]["percentiles_ms"]["p50"] == pytest.approx(5.0, rel=0.01)
    assert len(acme["percentiles_ms"]["p50"]) == len(found["times"])


async def test_csv_has_all_rows_and_nothing_that_a_spreadsheet_would_compute(
    serve: Serve, log: RequestLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.gateway.routes.history.CSV_PAGE", 2)
    filled(log, tenant='=HYPERLINK("http://evil")')
    gateway = await serve(ExactEngine(), request_log=log)
    rows = list(csv.DictReader(io.StringIO(await get(gateway, ".csv"))))
    assert [row["id"] for row in rows] == [f"req-{number}" for number in reversed(range(6))]
    assert rows[0]["tenant"] == '\'=HYPERLINK("http://evil")'
    assert rows[0]["total_ms"] == "600.0"
    assert rows[0]["arrival"].startswith("20")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("", {"limit": "0"}),
        ("", {"after": "nonsense"}),
        ("", {"since": "yesterday"}),
        ("", {"min_latency_ms": "-1"}),
        ("", {"min_wait_ms": "nan"}),
        ("", {"slowest_by": "mood"}),
        ("", {"slowest_by": "wait", "after": "1.0_1"}),
        ("/series", {"by": "colour"}),
        ("/series", {"measure": "mood"}),
        ("/series", {"since": "2026-01-02", "until": "2026-01-01"}),
        ("/series", {"min_wait_ms": "5"}),
        (".csv", {"until": "1e99"}),
    ],
)
async def test_a_wrong_question_says_what_is_wrong(
    serve: Serve, log: RequestLog, path: str, query: dict[str, str]
) -> None:
    gateway = await serve(ExactEngine(), request_log=log)
    error = (await get(gateway, path, None, 400, **query))["error"]
    assert error["param"] in query


async def test_without_a_log_there_is_no_history(serve: Serve) -> None:
    gateway = await serve(ExactEngine())
    for path in ("", "/series", ".csv", "/req-1"):
        assert (await get(gateway, path, None, 404))["error"]["code"] == "history_off"


async def test_the_life_of_a_preempted_request(serve: Serve, log: RequestLog) -> None:
    engine = ExactEngine()
    gateway = await serve(engine, request_log=log)
    async with client_of(gateway) as client:
        long = asyncio.ensure_future(
            client.chat.completions.create(
                model="counter",
                messages=HELLO,
                max_tokens=6,
                service_tier="flex",
                extra_headers={"x-headway-program": "run-1", "traceparent": TRACE},
            )
        )
        await until(lambda: engine.running == 1)
        engine.allow(2)
        await until(lambda: any(w.output_tokens == 2 for w in gateway.dispatcher.works.values()))
        urgent = asyncio.ensure_future(
            client.chat.completions.create(
                model="counter", messages=HELLO, max_tokens=1, service_tier="priority"
            )
        )
        await until(lambda: any(w.request.preemptions for w in gateway.dispatcher.works.values()))
        engine.allow()
        await asyncio.gather(long, urgent)
    await until(lambda: log.written == 2)
    page = await get(gateway, "", program="run-1")
    one = await get(gateway, f"/{page['data'][0]['id']}")
    assert [(part["phase"], part["backend"], part["why"]) for part in one["timeline"]] == [
        ("queued", "", ""),
        ("prefill", "exact", ""),
        ("decode", "exact", "preempted"),
        ("stopped", "", ""),
        ("prefill", "exact", ""),
        ("decode", "exact", "finished"),
    ]
    assert [part["output_tokens"] for part in one["timeline"]] == [None, None, 2, None, None, 6]
    ends = [part["ended_ms"] for part in one["timeline"]]
    assert ends == sorted(ends)
    assert ends[-1] == one["total_ms"]
    assert one["endpoint"] == "chat/completions"
    assert one["headers"]["traceparent"] == TRACE
    assert "OpenAI/Python" in one["headers"]["user-agent"]
    assert "authorization" not in one["headers"]
    assert one["prediction"]["by"] == "history"
    assert one["prediction"]["low"] <= one["prediction"]["high"]
    assert one["prompt"].startswith("[{")


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_the_life_of_a_request_whose_backend_died(serve: Serve, log: RequestLog) -> None:
    one, other = ExactEngine("one"), ExactEngine("other")
    one.dies_at = 7
    one.allow()
    other.allow()
    gateway = await serve(one, other, request_log=log)
    async with client_of(gateway) as client:
        await client.chat.completions.create(model="counter", messages=HELLO, max_tokens=9)
    await until(lambda: log.written == 1)
    (row,) = (await get(gateway, ""))["data"]
    timeline = (await get(gateway, f"/{row['id']}"))["timeline"]
    runs = [(part["backend"], part["why"], part["output_tokens"]) for part in timeline]
    assert runs[-1] == ("other", "finished", 9)
    (lost,) = [run for run in runs if run[1] in ("failed", "moved")]
    assert (lost[0], lost[2]) == ("one", 7)


async def test_a_request_that_never_ran_has_waited(serve: Serve, log: RequestLog) -> None:
    engine = ExactEngine()
    gateway = await serve(engine, request_log=log)
    async with client_of(gateway) as client:

        async def ask() -> None:
            await client.chat.completions.create(model="counter", messages=HELLO, max_tokens=1)

        first = asyncio.ensure_future(ask())
        await until(lambda: engine.running == 1)
        second = asyncio.ensure_future(ask())
        await until(lambda: gateway.dispatcher.scheduler.waiting() == 1)
        second.cancel()
        await until(lambda: gateway.dispatcher.scheduler.waiting() == 0)
        engine.allow()
        await first
    await until(lambda: log.written == 2)
    (row,) = (await get(gateway, "", outcome="cancelled"))["data"]
    one = await get(gateway, f"/{row['id']}")
    assert [part["phase"] for part in one["timeline"]] == ["queued"]


async def test_a_refused_request_says_what_its_client_was_told(
    serve: Serve, backend: FakeBackend, log: RequestLog
) -> None:
    gateway = await serve(backend, request_log=log)
    async with client_of(gateway) as client:
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="nosuch", messages=HELLO)
    await until(lambda: log.written == 1)
    (row,) = (await get(gateway, ""))["data"]
    one = await get(gateway, f"/{row['id']}")
    assert (one["outcome"], one["reason"]) == ("rejected", "model_not_found")
    assert one["message"].startswith("The model 'nosuch' does not exist; there are: ")
    assert one["endpoint"] == "chat/completions" and one["timeline"] == []
    assert "OpenAI/Python" in one["headers"]["user-agent"]


@pytest.mark.parametrize(
    ("stream", "phases"), [(False, ["running"]), (True, ["prefill", "decode"])]
)
async def test_the_first_token_of_an_answer_that_came_whole_is_not_made_up(
    serve: Serve, backend: FakeBackend, log: RequestLog, stream: bool, phases: list[str]
) -> None:
    gateway = await serve(backend, request_log=log)
    async with aiohttp.ClientSession() as http:
        body = {"model": "fake", "messages": HELLO, "stream": stream}
        async with http.post(gateway.address + "/v1/chat/completions", json=body) as answer:
            await answer.read()
    await until(lambda: log.written == 1)
    (row,) = (await get(gateway, ""))["data"]
    one = await get(gateway, f"/{row['id']}")
    assert [part["phase"] for part in one["timeline"]] == ["queued", *phases]
