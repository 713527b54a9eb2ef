"""Webhooks: only signed messages start runs, and each starts one."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from tests.workflows.conftest import Bench, Served

import headway
from headway.workflows.triggers import Webhook
from headway.workflows.triggers.signatures import signed

SECRET = "whsec_c2VjcmV0IG9mIHRlc3Rz"
NOW = 1_800_000_000.0


@headway.workflow(triggers=[Webhook("orders", "ORDERS_SECRET")])
async def ordered(number: int, event: dict[str, Any]) -> Any:
    return [number, event]


@pytest.fixture
async def served(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setenv("ORDERS_SECRET", SECRET)
    async with bench.serving(ordered, clock=lambda: NOW) as served:
        yield served


async def post(
    served: Served, body: bytes, headers: dict[str, str] | None = None, name: str = "orders"
) -> tuple[int, Any]:
    url = f"{served.address}/hooks/{name}"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=body, headers=headers or {}) as answer,
    ):
        text = await answer.text()
        return answer.status, json.loads(text) if text.startswith("{") else text


async def test_a_signed_message_starts_a_run_once(bench: Bench, served: Served) -> None:
    body = b'{"number": 7, "colour": "red"}'
    headers = signed(SECRET, "msg_1", NOW, body)
    status, first = await post(served, body, headers)
    assert status == 202
    assert (await post(served, body, headers))[1] == first
    row = await bench.until(first["run"], "finished")
    assert json.loads(row.output_json or "") == [7, {"number": 7, "colour": "red"}]
    assert len(await bench.journal.runs()) == 1


async def test_a_delivery_of_github_starts_a_run_once(bench: Bench, served: Served) -> None:
    body = b'{"number": 1}'
    digest = hmac.new(b"secret of tests", body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={digest}", "X-GitHub-Delivery": "d1"}
    status, first = await post(served, body, headers)
    assert status == 202
    assert (await post(served, body, headers))[1] == first, "the same delivery: one run"
    assert len(await bench.journal.runs()) == 1
    assert (await post(served, b'{"number": 2}', headers))[0] == 401
    nameless = {"X-Hub-Signature-256": f"sha256={digest}"}
    status, answer = await post(served, body, nameless)
    assert status == 401
    assert "x-github-delivery is missing" in answer["error"]["message"]


async def test_a_wrong_an_old_and_a_missing_signature_are_refused(
    bench: Bench, served: Served
) -> None:
    body = b'{"number": 7}'
    for headers, why in (
        (signed("another", "msg", NOW, body), "another secret, or a changed body"),
        (signed(SECRET, "msg", NOW, body + b" "), "another secret, or a changed body"),
        (signed(SECRET, "msg", NOW - 301, body), "more than five minutes ago"),
        ({}, "webhook-id is missing"),
    ):
        status, answer = await post(served, body, headers)
        assert status == 401
        assert why in answer["error"]["message"]
    assert await bench.journal.runs() == []


async def test_a_cloud_event_starts_a_run_with_its_data(bench: Bench, served: Served) -> None:
    event = {"specversion": "1.0", "id": "a1", "source": "/shop", "type": "order.made"}
    structured = json.dumps(event | {"data": {"number": 3}}).encode()
    headers = {"content-type": "application/cloudevents+json"}
    status, first = await post(served, structured, headers | signed(SECRET, "m1", NOW, structured))
    assert status == 202
    again = await post(served, structured, headers | signed(SECRET, "m2", NOW, structured))
    assert again == (202, first), "the same event: one run"
    binary = b'{"number": 4}'
    headers = {f"ce-{name}": value for name, value in event.items()}
    headers |= {"content-type": "application/json"} | signed(SECRET, "m3", NOW, binary)
    status, second = await post(served, binary, headers)
    row = await bench.until(second["run"], "finished")
    assert json.loads(row.output_json or "")[0] == 4
    row = await bench.until(first["run"], "finished")
    number, whole = json.loads(row.output_json or "")
    assert number == 3 and whole["type"] == "order.made"


async def test_what_is_no_event_is_refused(served: Served) -> None:
    for body in (b"no json", b'{"other": 1}'):
        status, answer = await post(served, body, signed(SECRET, "m", NOW, body))
        assert status == 400, answer
    events = {"content-type": "application/cloudevents-batch+json"}
    for body in (b"[]", b'"one"', b"{"):
        status, answer = await post(served, body, events | signed(SECRET, "m", NOW, body))
        assert status == 400 and "it is no CloudEvent" in answer["error"]["message"]
    assert (await post(served, b"{}", name="nothing"))[0] == 404


async def test_an_id_that_nobody_signed_does_not_make_a_replay_a_new_event(
    bench: Bench, served: Served
) -> None:
    body = b'{"number": 3}'
    headers = {"ce-specversion": "1.0", "ce-source": "/shop", "ce-type": "order.made"}
    headers |= {"content-type": "application/json"} | signed(SECRET, "m1", NOW, body)
    first = await post(served, body, headers | {"ce-id": "a1"})
    assert first[0] == 202
    assert await post(served, body, headers | {"ce-id": "a2"}) == first


async def test_a_large_body_that_nobody_signed_is_refused(served: Served) -> None:
    assert (await post(served, b"x" * (5 * 2**20)))[0] == 413


async def test_headers_that_are_no_text_are_refused(served: Served) -> None:
    body = b'{"number": 3}'
    headers = signed(SECRET, "m1", NOW, body)
    assert (await post(served, body, headers | {"webhook-timestamp": "9" * 5000}))[0] == 401
