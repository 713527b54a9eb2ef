"""Backends that answer with errors, hang, or stream in odd ways: clients get answers."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import openai
import pytest
from tests.gateway.conftest import HELLO, Serve, client_of, until
from tests.gateway.fake_backend import WORDS, FakeBackend, stream_events

from headway.engines import patience
from headway.engines.trial_answer import TRIAL_TOKENS
from headway.gateway.dispatch import silence
from headway.gateway.server import Gateway
from headway.gateway.work import retries

ANSWER = "".join(WORDS)
BUSY = {"error": {"message": "busy", "type": "overloaded"}}


@pytest.fixture
async def other(stack: Any) -> AsyncIterator[FakeBackend]:
    other = FakeBackend()
    await other.start()
    stack.push_async_callback(other.stop)
    yield other


async def ask(gateway: Gateway, text: str = "Hello!", **options: Any) -> Any:
    messages = [{"role": "user", "content": text}]
    async with client_of(gateway) as client:
        return await client.chat.completions.create(model="fake", messages=messages, **options)


async def streamed(gateway: Gateway, **options: Any) -> str:
    async with client_of(gateway) as client:
        stream = await client.chat.completions.create(
            model="fake", messages=HELLO, stream=True, **options
        )
        return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])


async def raw(gateway: Gateway, http: aiohttp.ClientSession, **fields: Any) -> tuple[int, Any, str]:
    body = {"model": "fake", "messages": HELLO, **fields}
    async with http.post(gateway.address + "/v1/chat/completions", json=body) as answer:
        return answer.status, answer.headers, await answer.text()


FAULTS = [
    (429, BUSY),
    (429, BUSY, {"Retry-After": "7"}),
    (500, BUSY),
    (503, BUSY),
    (529, BUSY),
    (401, BUSY),
    (404, BUSY),
    (200, {"error": {"message": "no", "code": 500}}),
    "break",
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_a_backend_that_fails_at_once_is_no_black_hole(
    serve: Serve, backend: FakeBackend, other: FakeBackend, fault: Any
) -> None:
    backend.refuses = lambda body: fault
    gateway = await serve(backend, other, slots=4)
    answers = []
    for _ in range(10):
        answers += await asyncio.gather(*(ask(gateway) for _ in range(4)))
    assert [answer.choices[0].message.content for answer in answers] == [ANSWER] * 40
    # A 404 may be about one path or model only: others are not kept away from it.
    assert len(backend.requests) < 15 or fault == (404, BUSY)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", [(503, BUSY), "break"], ids=str)
async def test_the_next_run_goes_elsewhere_even_where_that_means_to_wait(
    serve: Serve, backend: FakeBackend, other: FakeBackend, fault: Any, stream: bool
) -> None:
    backend.faults += [fault] * 20
    gateway = await serve(backend, other, slots=1)
    other.open.clear()
    asked = [asyncio.ensure_future(ask(gateway, stream=False)) for _ in range(2)]
    works = gateway.dispatcher.works
    await until(
        lambda: (
            other.running == 1
            and len(works) == 2
            and all(work.request.backend == "b1" or work.turn.retries for work in works.values())
        )
    )
    other.open.set()
    for answer in await asyncio.gather(*asked):
        assert answer.choices[0].message.content == ANSWER
    # Over a connection that was used before, each of the two may have been sent twice.
    assert len(_clients(backend)) <= 4, "it did not run into the same wall again and again"


def _clients(backend: FakeBackend) -> list[dict[str, Any]]:
    """The bodies of all requests that were no trials."""
    return [body for _, body in backend.requests if body.get("max_tokens") != TRIAL_TOKENS]


async def test_where_there_is_nothing_else_it_is_tried_again_more_and_more_slowly(
    serve: Serve, backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await serve(backend)
    backend.faults += [(500, BUSY)] * 5
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(openai.InternalServerError, match="busy") as raised:
        await ask(gateway, timeout=20)
    assert raised.value.status_code == 500
    assert loop.time() - began_s > 1.8
    told = [r.message for r in caplog.records if r.name == "headway.gateway.dispatch.slot"]
    assert len(told) == 5
    assert "failed on backend b0 (500" in told[0] and "trying again in 0." in told[0]
    assert told[-1].endswith("giving up")
    assert (await ask(gateway)).choices[0].message.content == ANSWER


async def test_nobody_waits_for_the_slot_of_a_request_that_pauses(
    serve: Serve,
    backend: FakeBackend,
    http: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE_S", 30.0)
    gateway = await serve(backend, slots=1)
    backend.refuses = lambda body: (500, BUSY) if "poison" in str(body) else None
    bad = asyncio.ensure_future(ask(gateway, "poison"))
    await until(lambda: len(backend.requests) == 1 and not gateway.dispatcher.running_on("b0"))
    async with http.get(gateway.address + "/v1/headway/queue") as answer:
        (waiting,) = (await answer.json())["requests"]
    assert waiting["state"] == "waiting" and "retried" in waiting["why"]
    assert (await ask(gateway)).choices[0].message.content == ANSWER
    bad.cancel()
    await asyncio.gather(bad, return_exceptions=True)
    await until(lambda: not gateway.dispatcher.works)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_backend_says_reaches_the_client_where_there_is_nothing_else(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, status: int, stream: bool
) -> None:
    gateway = await serve(backend)
    headers = {"Retry-After": "20", "x-ratelimit-remaining-tokens": "0", "x-request-id": "theirs"}
    backend.faults.append((status, BUSY, headers))
    found, told, body = await raw(gateway, http, stream=stream)
    assert found == status and json.loads(body)["error"]["message"] == "busy"
    assert told["Retry-After"] == "20" and told["x-ratelimit-remaining-tokens"] == "0"
    assert told["x-headway-upstream-request-id"] == "theirs"
    assert len(backend.requests) == 1
    assert gateway.pool.statuses["b0"].slots == 0, "and it is left alone"
    assert gateway.pool.statuses["b0"].healthy


async def test_headers_of_a_good_answer_are_passed_on(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    backend.headers = {"x-request-id": "theirs", "openai-processing-ms": "3", "Set-Cookie": "a=b"}
    _, told, _ = await raw(gateway, http, stream=True)
    assert told["x-headway-upstream-request-id"] == "theirs"
    assert told["openai-processing-ms"] == "3"
    assert told["x-request-id"].startswith("req-") and "Set-Cookie" not in told


async def test_bad_requests_lock_nobody_out(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend)
    backend.refuses = lambda body: (503, BUSY) if "poison" in str(body) else None
    poison = [asyncio.ensure_future(ask(gateway, "poison", timeout=30)) for _ in range(4)]
    loop = asyncio.get_running_loop()
    longest_s = 0.0
    while not all(task.done() for task in poison):
        began_s = loop.time()
        assert (await ask(gateway)).choices[0].message.content == ANSWER
        longest_s = max(longest_s, loop.time() - began_s)
        await asyncio.sleep(0.02)
    assert longest_s < 2.0
    for task in poison:
        assert isinstance(task.exception(), openai.InternalServerError)


async def test_a_request_that_fails_everywhere_is_not_held_against_the_backends(
    serve: Serve, backend: FakeBackend, other: FakeBackend
) -> None:
    gateway = await serve(backend, other)
    for one in (backend, other):
        one.refuses = lambda body: (500, BUSY) if "poison" in str(body) else None
    failures = await asyncio.gather(
        *(ask(gateway, "poison", timeout=30) for _ in range(12)), return_exceptions=True
    )
    assert all(isinstance(failure, openai.InternalServerError) for failure in failures)
    await until(lambda: all(s.slots for s in gateway.pool.statuses.values()))
    assert (await ask(gateway)).choices[0].message.content == ANSWER


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_whose_backend_hangs_moves_after_its_limit(
    serve: Serve,
    backend: FakeBackend,
    other: FakeBackend,
    monkeypatch: pytest.MonkeyPatch,
    stream: bool,
) -> None:
    monkeypatch.setattr(silence, "LOOK_EVERY_S", 0.05)
    gateway = await serve(backend, other, endpoint={"first_byte_timeout_s": 0.3})
    backend.refuses = other.refuses = lambda body: None
    hung: set[int] = set()

    def hangs_first(body: dict[str, Any]) -> str | None:
        if "Hi" in str(body) or hung:
            return None
        hung.add(1)
        return "hang"

    backend.refuses = other.refuses = hangs_first
    text = await streamed(gateway) if stream else (await ask(gateway)).choices[0].message.content
    assert text == ANSWER and hung
    assert backend.aborted + other.aborted == 1


async def test_a_stream_that_stops_in_the_middle_ends_with_an_error(
    serve: Serve, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await serve(backend, endpoint={"idle_timeout_s": 0.2})
    backend.event_pause_s = 30.0
    with pytest.raises(openai.APIError, match="it sent nothing for"):
        await streamed(gateway)
    await until(lambda: not gateway.dispatcher.works)


async def test_a_backend_that_hangs_gets_no_share_though_its_clients_give_up_early(
    serve: Serve,
    backend: FakeBackend,
    other: FakeBackend,
    http: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "SUSPECT_S", 0.3)
    monkeypatch.setattr("headway.engines.trials.TRIAL_S", 0.2)
    monkeypatch.setattr("headway.engines.member.CHECK_EVERY_S", 0.05)
    # Else the other, which is measured to be fast, gets everything at once.
    monkeypatch.setattr("headway.engines.capacity.COST_DRIFT", math.inf)
    gateway = await serve(backend, other, slots=4)
    backend.refuses = lambda body: "hang"
    url = gateway.address + "/v1/chat/completions"

    async def impatient() -> None:
        body = {"model": "fake", "messages": HELLO}
        with suppress(TimeoutError):
            async with http.post(url, json=body, timeout=aiohttp.ClientTimeout(0.2)) as answer:
                await answer.read()

    async with asyncio.timeout(60):
        while gateway.pool.statuses["b0"].slots:
            await asyncio.gather(*(impatient() for _ in range(4)))
    sent = len(_clients(backend))
    for _ in range(10):
        assert (await ask(gateway, timeout=5)).choices[0].message.content == ANSWER
    assert len(_clients(backend)) == sent
    backend.refuses = lambda body: None
    await until(lambda: gateway.pool.statuses["b0"].slots == 4)


EVENTS = stream_events("/v1/chat/completions", "fake", include_usage=True)
ODD_STREAMS = {
    "no [DONE]": EVENTS[:-1],
    "no [DONE], no usage": EVENTS[:-2],
    "data:[DONE]": [event.replace(b"data: ", b"data:") for event in EVENTS],
    "CR": [event.replace(b"\n", b"\r") for event in EVENTS],
    "CRLF": [event.replace(b"\n", b"\r\n") for event in EVENTS],
    "a comment behind the usage": [*EVENTS[:-1], b": keep-alive\n\n", EVENTS[-1]],
    "comments": [piece for event in EVENTS for piece in (b": PROCESSING\n\n", event)],
    "usage in every chunk": [
        event.replace(b'"choices"', b'"usage": {"completion_tokens": 9}, "choices"')
        for event in EVENTS[:-2]
    ],
    "no blank line at the end": [*EVENTS[:-1], b"data: [DONE]"],
    "named events": [b"event: chunk\n" + event for event in EVENTS],
    "all at once": [b"".join(EVENTS)],
}


@pytest.mark.parametrize("wants_usage", [False, True])
@pytest.mark.parametrize("kind", ODD_STREAMS)
async def test_every_way_to_write_a_stream_is_a_stream(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, kind: str, wants_usage: bool
) -> None:
    gateway = await serve(backend)
    backend.pieces = ODD_STREAMS[kind]
    options = {"stream_options": {"include_usage": True}} if wants_usage else {}
    for _ in range(3):
        status, _, text = await raw(gateway, http, stream=True, **options)
        assert status == 200 and text.endswith("data: [DONE]\n\n") and text.count("[DONE]") == 1
        assert "error" not in text
        events = [e for e in text.split("\n\n")[:-2] if "data: " in e]
        chunks = [json.loads(event.partition("data: ")[2]) for event in events]
        content = [c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]]
        assert "".join(content) == ANSWER
        assert gateway.pool.statuses["b0"].slots == 8
    await until(lambda: not gateway.dispatcher.works)


async def test_garbage_is_no_answer(serve: Serve, backend: FakeBackend, other: FakeBackend) -> None:
    gateway = await serve(backend, other)
    for pieces in (
        [b"<html>busy</html>"],
        [b"data: garbage\n\n", b"data: [DONE]\n\n"],
        [b'data: {"detail": "busy"}\n\n', b"data: [DONE]\n\n"],
        [b'data: {"error": {"message": "no", "code": 500}}\n\n', b"data: [DONE]\n\n"],
        [b""],
    ):
        backend.pieces = pieces[:-1] if pieces == [b""] else pieces
        assert await streamed(gateway) == ANSWER


async def test_an_error_in_the_middle_of_a_stream_is_passed_on(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend)
    backend.pieces = [
        *EVENTS[:5],
        b'data: {"error": {"message": "out of memory", "code": 500}}\n\n',
    ]
    with pytest.raises(openai.APIError, match="out of memory"):
        await streamed(gateway)


async def test_a_backend_that_knows_no_stream_options_is_asked_without(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend)
    refusal = {"error": {"message": "stream_options: extra inputs are not permitted"}}
    backend.refuses = lambda body: (400, refusal) if "stream_options" in body else None
    for _ in range(3):
        assert await streamed(gateway) == ANSWER
    assert ["stream_options" in body for _, body in backend.requests] == [True, *[False] * 3]
    with pytest.raises(openai.BadRequestError, match="not permitted"):
        await streamed(gateway, stream_options={"include_usage": True})


async def test_the_model_of_a_backend_that_is_down_is_waited_for_and_never_unknown(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    missing = FakeBackend("big")
    await missing.start()
    await missing.stop()
    gateway = await serve(backend, missing, unavailable_wait_s=0.5)
    status, headers, body = await raw(gateway, http, model="big")
    assert status == 503 and json.loads(body)["error"]["code"] == "no_backend"
    assert int(headers["Retry-After"]) > 0
    await missing.start()
    await until(lambda: "big" in gateway.pool.models(), 15)
    assert (await raw(gateway, http, model="big"))[0] == 200
    assert (await raw(gateway, http, model="other"))[0] == 404
    await missing.stop()


async def test_who_waits_for_a_backend_that_stays_away_is_told_so(
    serve: Serve, backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    gateway = await serve(backend, unavailable_wait_s=0.3)
    backend.faults.append((429, BUSY, {"Retry-After": "30"}))
    with pytest.raises(openai.RateLimitError):
        await ask(gateway)
    with pytest.raises(openai.InternalServerError) as raised:
        await ask(gateway)
    assert (raised.value.status_code, raised.value.code) == (503, "no_backend")


async def test_the_scheduler_counts_what_came_and_the_bill_is_the_backend_s(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    backend.pieces = ODD_STREAMS["usage in every chunk"]
    counted: list[int] = []
    finish = gateway.dispatcher.scheduler.finish

    def remember(request_id: str, now_s: float) -> None:
        counted.append(gateway.dispatcher.scheduler.requests[request_id].output_tokens)
        finish(request_id, now_s)

    gateway.dispatcher.scheduler.finish = remember
    options = {"stream_options": {"include_usage": True}}
    status, _, text = await raw(gateway, http, stream=True, **options)
    assert status == 200
    assert counted[0] != 9  # events that came, not what the backend claims
    billed = [json.loads(event[6:]) for event in text.split("\n\n") if '"headway"' in event]
    assert billed[-1]["usage"]["headway"]["output_tokens"] == 9
