"""/v1/files and /v1/batches by the official client."""

from __future__ import annotations

import asyncio
import errno
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from openai.types import Batch
from tests.gateway.conftest import Serve, ask, catalog_of, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend

from headway.batches import runner
from headway.batches.folder import Part
from headway.batches.journal import Journal
from headway.batches.schema import Held, Result
from headway.batches.settings import BatchSettings
from headway.core.request import Tier
from headway.core.settings import PreemptionSettings, SchedulerSettings
from headway.gateway.keys.keys import hash_key
from headway.gateway.routes import lines
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey
from headway.gateway.work.work import Work
from headway.models.source import source_of
from headway.store.transactions import Refused

CHAT = "/v1/chat/completions"


def line(n: int, url: str = CHAT, **body: Any) -> dict[str, Any]:
    asked = {"model": "fake", "messages": [{"role": "user", "content": f"Number {n}"}]}
    return {"custom_id": f"c{n}", "method": "POST", "url": url, "body": asked | body}


def jsonl(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


@pytest.fixture
def kept(tmp_path: Path) -> BatchSettings:
    return BatchSettings(tmp_path / "batches")


@pytest.fixture
async def gateway(serve: Serve, backend: FakeBackend, kept: BatchSettings) -> Gateway:
    return await serve(backend, batches=kept)


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(gateway) as client:
        yield client


async def begin(
    client: openai.AsyncOpenAI, content: bytes, endpoint: Any = CHAT, **options: Any
) -> Batch:
    file = await client.files.create(file=("in.jsonl", content), purpose="batch")
    return await client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", **options
    )


async def ended(client: openai.AsyncOpenAI, id: str, limit_s: float = 10.0) -> Batch:
    async with asyncio.timeout(limit_s):
        while True:
            batch = await client.batches.retrieve(id)
            if batch.status in ("completed", "failed", "expired", "cancelled"):
                return batch
            await asyncio.sleep(0.01)


async def until_completed(client: openai.AsyncOpenAI, id: str, lines: int) -> None:
    """Wait until so many lines are completed."""
    async with asyncio.timeout(5.0):
        while True:
            counts = (await client.batches.retrieve(id)).request_counts
            if counts is not None and counts.completed >= lines:
                return
            await asyncio.sleep(0.01)


def hang_after(backend: FakeBackend, requests: int) -> None:
    """Answer so many more requests, and no others."""
    numbers = count()
    backend.refuses = lambda body: "hang" if next(numbers) >= requests else None


async def rows(client: openai.AsyncOpenAI, file: str | None) -> list[dict[str, Any]]:
    if file is None:
        return []
    content = await client.files.content(file)
    return [json.loads(text) for text in content.text.splitlines()]


async def test_a_batch_from_its_upload_to_its_answers(
    client: openai.AsyncOpenAI, backend: FakeBackend
) -> None:
    batch = await begin(client, jsonl(*map(line, range(20))), metadata={"run": "7"})
    assert batch.status == "validating"
    assert batch.expires_at == batch.created_at + 24 * 3600
    batch = await ended(client, batch.id)
    assert batch.status == "completed"
    assert batch.metadata == {"run": "7"}
    assert batch.model == "fake"
    counts, usage = batch.request_counts, batch.usage
    assert counts is not None and usage is not None
    assert (counts.total, counts.completed, counts.failed) == (20, 20, 0)
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (140, 2000, 2140)
    assert batch.error_file_id is None
    answers = await rows(client, batch.output_file_id)
    assert [one["custom_id"] for one in answers] == [f"c{n}" for n in range(20)]
    first = answers[0]
    assert first["error"] is None
    assert first["response"]["status_code"] == 200
    assert first["response"]["request_id"].startswith("req-")
    assert first["response"]["body"]["choices"][0]["message"]["content"].startswith("word0")
    assert len(backend.requests) == 20


async def test_each_line_is_answered_once_though_some_fail(
    client: openai.AsyncOpenAI, backend: FakeBackend
) -> None:
    def refuses(body: dict[str, Any]) -> Any:
        if body["messages"][0]["content"] in ("Number 3", "Number 5"):
            return 400, {"error": {"message": "too odd", "type": "invalid_request_error"}}
        return None

    backend.refuses = refuses
    batch = await ended(client, (await begin(client, jsonl(*map(line, range(8))))).id)
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (6, 2)
    failed = await rows(client, batch.error_file_id)
    assert [one["custom_id"] for one in failed] == ["c3", "c5"]
    assert failed[0]["response"]["status_code"] == 400
    assert failed[0]["response"]["body"]["error"]["message"] == "too odd"
    completed = await rows(client, batch.output_file_id)
    assert {one["custom_id"] for one in completed} == {f"c{n}" for n in (0, 1, 2, 4, 6, 7)}


async def test_a_line_that_the_gateway_refuses_has_its_error_in_the_error_file(
    client: openai.AsyncOpenAI,
) -> None:
    batch = await begin(client, jsonl(line(0), line(1, messages="no list")))
    batch = await ended(client, batch.id)
    (failed,) = await rows(client, batch.error_file_id)
    assert failed["custom_id"] == "c1"
    assert failed["response"]["body"]["error"]["param"] == "messages"


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("/v1/completions", {"model": "fake", "prompt": "Once"}),
        ("/v1/embeddings", {"model": "fake", "input": "Once"}),
    ],
)
async def test_other_endpoints(
    client: openai.AsyncOpenAI, backend: FakeBackend, endpoint: str, body: dict[str, Any]
) -> None:
    one = {"custom_id": "a", "method": "POST", "url": endpoint, "body": body}
    batch = await ended(client, (await begin(client, jsonl(one), endpoint)).id)
    (answer,) = await rows(client, batch.output_file_id)
    assert answer["response"]["body"]["model"] == "fake"
    assert backend.requests == [(endpoint, body)]


async def test_models_of_the_catalog(serve: Serve, kept: BatchSettings, tiny: Path) -> None:
    catalog = catalog_of(text=source_of(str(tiny / "text")))
    async with client_of(await serve(catalog=catalog, batches=kept)) as client:
        for endpoint, body in (
            ("/v1/rerank", {"query": "hello", "documents": ["hello", "world"]}),
            ("/v1/embeddings", {"input": "hello"}),
        ):
            asked = {"model": "text", **body}
            one = {"custom_id": "a", "method": "POST", "url": endpoint, "body": asked}
            batch = await ended(client, (await begin(client, jsonl(one), endpoint)).id)
            (answer,) = await rows(client, batch.output_file_id)
            assert answer["response"]["status_code"] == 200
            assert batch.usage is not None and batch.usage.input_tokens > 0


async def test_lines_run_below_everything_else_and_go_on_without_a_lost_token(
    serve: Serve, kept: BatchSettings
) -> None:
    engine = ExactEngine(slots=1)
    eager = SchedulerSettings(preemption=PreemptionSettings(min_run_s=0.0))
    gateway = await serve(engine, batches=kept, scheduler=eager)
    engine.allow(50)
    body = {"model": "counter", "prompt": "go", "max_tokens": 400}
    url = "/v1/completions"
    one = {"custom_id": "a", "method": "POST", "url": url, "body": body}
    async with client_of(gateway) as client:
        batch = await begin(client, jsonl(one), url)
        await until(lambda: any(w.request.output_tokens > 3 for w in _works(gateway)))
        (work,) = _works(gateway)
        assert work.request.tier is Tier.BATCH
        headers = {"x-headway-tier": "interactive"}
        urgent = ask(gateway, "now", 2, extra_headers=headers)
        await until(lambda: work.request.preemptions == 1)
        engine.allow()
        await urgent
        assert work.request.preemptions == 1
        batch = await ended(client, batch.id)
        (answer,) = await rows(client, batch.output_file_id)
    text = answer["response"]["body"]["choices"][0]["text"]
    assert text == "".join(f"{n} " for n in range(400))


def _works(gateway: Gateway) -> list[Work]:
    return list(gateway.dispatcher.works.values())


async def test_few_lines_are_in_memory_and_slots_are_kept_busy(
    serve: Serve, backend: FakeBackend, kept: BatchSettings
) -> None:
    backend.open.clear()
    gateway = await serve(backend, slots=2, batches=kept)
    async with client_of(gateway) as client:
        batch = await begin(client, jsonl(*map(line, range(500))))
        await until(lambda: backend.running == 2)
        await asyncio.sleep(0)
        assert len(_works(gateway)) <= 8
        backend.open.set()
        assert (await ended(client, batch.id)).status == "completed"


# ---- cancelling and expiry ----------------------------------------------------------------------


async def test_a_cancelled_batch_keeps_what_is_finished(
    client: openai.AsyncOpenAI, backend: FakeBackend, gateway: Gateway
) -> None:
    hang_after(backend, 10)
    batch = await begin(client, jsonl(*map(line, range(30))))
    await until_completed(client, batch.id, 10)
    cancelling = await client.batches.cancel(batch.id)
    assert cancelling.status == "cancelling"
    again = await client.batches.cancel(batch.id)
    assert again.cancelling_at == cancelling.cancelling_at
    batch = await ended(client, batch.id)
    assert batch.status == "cancelled"
    assert batch.cancelled_at is not None
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (10, 20)
    assert len(await rows(client, batch.output_file_id)) == 10
    failed = await rows(client, batch.error_file_id)
    assert len(failed) == 20
    assert {one["error"]["code"] for one in failed} == {"batch_cancelled"}
    assert failed[0]["response"] is None
    await until(lambda: backend.running == 0 and not _works(gateway))
    assert (await client.batches.cancel(batch.id)).status == "cancelled"


async def test_a_finished_batch_cannot_be_cancelled(client: openai.AsyncOpenAI) -> None:
    batch = await ended(client, (await begin(client, jsonl(line(0)))).id)
    with pytest.raises(openai.ConflictError, match="status 'completed'"):
        await client.batches.cancel(batch.id)


async def test_an_expired_batch_returns_what_is_finished(
    client: openai.AsyncOpenAI, backend: FakeBackend, kept: BatchSettings
) -> None:
    hang_after(backend, 4)
    batch = await begin(client, jsonl(*map(line, range(9))))
    await until_completed(client, batch.id, 4)
    with sqlite3.connect(kept.folder / "batches.db") as database:  # a day passes
        database.execute("UPDATE batches SET expires_at = created_at")
    batch = await ended(client, batch.id)
    assert batch.status == "expired"
    assert batch.expired_at is not None
    assert len(await rows(client, batch.output_file_id)) == 4
    failed = await rows(client, batch.error_file_id)
    assert [one["error"]["code"] for one in failed] == ["batch_expired"] * 5


# ---- restarts -----------------------------------------------------------------------------------


async def test_a_batch_goes_on_after_a_restart(
    serve: Serve, backend: FakeBackend, kept: BatchSettings
) -> None:
    first = await serve(backend, batches=kept)
    async with client_of(first) as client:
        hang_after(backend, 6)
        batch = await begin(client, jsonl(*map(line, range(20))))
        await until_completed(client, batch.id, 6)
    await first.stop()
    with sqlite3.connect(kept.folder / "batches.db") as database:
        answers = [json.loads(one) for (one,) in database.execute("SELECT answer FROM results")]
    before = {f"Number {answer['custom_id'][1:]}" for answer in answers}
    assert len(before) == 6
    backend.requests.clear()
    backend.refuses = lambda body: None
    async with client_of(await serve(backend, batches=kept)) as client:
        batch = await ended(client, batch.id)
        assert batch.status == "completed"
        answers = await rows(client, batch.output_file_id)
        assert [one["custom_id"] for one in answers] == [f"c{n}" for n in range(20)]
    again = {body["messages"][0]["content"] for _, body in backend.requests}
    assert not again & before
    assert len(again) == len(backend.requests) == 14


async def test_lines_wait_while_no_backend_is_there(
    client: openai.AsyncOpenAI, backend: FakeBackend
) -> None:
    backend.open.clear()
    batch = await begin(client, jsonl(*map(line, range(30))))
    await until(lambda: backend.running > 0)
    await backend.stop()
    await asyncio.sleep(0.1)
    backend.open.set()
    await backend.start()
    batch = await ended(client, batch.id, limit_s=30.0)
    assert batch.request_counts is not None
    assert (batch.status, batch.request_counts.completed) == ("completed", 30)


async def test_answers_wait_for_a_disk_that_refuses_them(
    client: openai.AsyncOpenAI, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals, record = count(), Journal.record

    async def full(self: Journal, held: Held, results: Sequence[Result]) -> Any:
        if next(refusals) < 3:
            raise Refused("database or disk is full")
        return await record(self, held, results)

    monkeypatch.setattr(Journal, "record", full)
    monkeypatch.setattr(runner, "RETRY_S", 0.01)
    batch = await ended(client, (await begin(client, jsonl(*map(line, range(30))))).id)
    assert len(await rows(client, batch.output_file_id)) == 30
    assert len(backend.requests) == 30


async def test_a_line_that_fails_is_tried_again_and_then_has_its_error(
    serve: Serve, backend: FakeBackend, kept: BatchSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "FAILED_S", 0.01)
    broken = 500, {"error": {"message": "out of order", "type": "server_error"}}
    odd = count()

    def refuses(body: dict[str, Any]) -> Any:
        content = body["messages"][0]["content"]
        return (
            broken if content == "Number 1" or (content == "Number 2" and not next(odd)) else None
        )

    backend.refuses = refuses
    async with client_of(await serve(backend, batches=kept, attempts=1)) as client:
        batch = await ended(client, (await begin(client, jsonl(*map(line, range(4))))).id)
        (failed,) = await rows(client, batch.error_file_id)
        answered = [one["custom_id"] for one in await rows(client, batch.output_file_id)]
    assert (failed["custom_id"], failed["response"]["status_code"]) == ("c1", 500)
    assert answered == ["c0", "c2", "c3"]
    asked = [body["messages"][0]["content"] for _, body in backend.requests]
    assert asked.count("Number 1") == runner.MOST_ATTEMPTS
    assert asked.count("Number 2") == 2


async def test_lines_begin_only_in_their_window(
    serve: Serve, backend: FakeBackend, tmp_path: Path
) -> None:
    soon, later = (
        (datetime.now(UTC) + timedelta(hours=hours)).strftime("%H:%M") for hours in (2, 3)
    )
    kept = BatchSettings(tmp_path / "batches", window=f"{soon}-{later} UTC")
    async with client_of(await serve(backend, batches=kept)) as client:
        batch = await begin(client, jsonl(line(0)))
        while batch.status == "validating":
            batch = await client.batches.retrieve(batch.id)
        assert batch.status == "in_progress"
        assert (await client.batches.cancel(batch.id)).status == "cancelling"
        assert (await ended(client, batch.id)).status == "cancelled"
    assert not backend.requests


# ---- bad input ----------------------------------------------------------------------------------


async def errors_of(client: openai.AsyncOpenAI, content: bytes) -> list[tuple[Any, ...]]:
    batch = await ended(client, (await begin(client, content)).id)
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("failed", None, None)
    assert batch.failed_at is not None
    assert batch.errors is not None and batch.errors.data is not None
    return [(one.line, one.code, one.param) for one in batch.errors.data]


async def test_a_bad_line_is_named_and_nothing_runs(
    client: openai.AsyncOpenAI, backend: FakeBackend
) -> None:
    good = jsonl(*map(line, range(300)))
    assert await errors_of(client, good + b'{"custom_id": "x",\n' + jsonl(line(301))) == [
        (301, "invalid_json_line", None)
    ]
    assert not backend.requests


async def test_a_model_that_does_not_exist(client: openai.AsyncOpenAI) -> None:
    assert await errors_of(client, jsonl(line(0, model="gpt-9"))) == [
        (1, "model_not_found", "body.model")
    ]


async def test_a_byte_order_mark_and_windows_lines_are_read(client: openai.AsyncOpenAI) -> None:
    content = b"\xef\xbb\xbf" + jsonl(line(0), line(1)).replace(b"\n", b"\r\n") + b"\r\n"
    batch = await ended(client, (await begin(client, content)).id)
    assert [one["custom_id"] for one in await rows(client, batch.output_file_id)] == ["c0", "c1"]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"endpoint": "/v1/images/edits"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {"k" * 65: "v"}}, "metadata"),
        ({"metadata": {str(n): "v" for n in range(17)}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 10}},
         "output_expires_after.seconds"),
    ],
)  # fmt: skip
async def test_what_cannot_begin_a_batch(
    client: openai.AsyncOpenAI, asked: dict[str, Any], param: str
) -> None:
    file = await client.files.create(file=("in.jsonl", jsonl(line(0))), purpose="batch")
    asked = {"endpoint": CHAT, "completion_window": "24h", "input_file_id": file.id} | asked
    with pytest.raises(openai.BadRequestError) as refused:
        await client.batches.create(**asked)
    assert refused.value.param == param


# ---- files --------------------------------------------------------------------------------------


async def test_files_are_kept_listed_and_deleted(client: openai.AsyncOpenAI) -> None:
    made = [
        await client.files.create(file=(f"{n}.jsonl", b"x" * n), purpose="batch") for n in range(5)
    ]
    first = await client.files.retrieve(made[0].id)
    assert first == made[0]
    assert (first.object, first.purpose, first.status) == ("file", "batch", "processed")
    assert first.expires_at == first.created_at + 30 * 24 * 3600
    page = await client.files.list(limit=2, order="asc")
    assert ([one.filename for one in page.data], page.has_more) == (["0.jsonl", "1.jsonl"], True)
    assert [one.id async for one in client.files.list(limit=2)] == [one.id for one in made[::-1]]
    assert not (await client.files.list(purpose="batch_output")).data
    assert (await client.files.content(made[3].id)).content == b"xxx"
    assert (await client.files.delete(made[3].id)).deleted
    for gone in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            await gone(made[3].id)


async def test_the_input_may_be_deleted_while_its_batch_runs(
    client: openai.AsyncOpenAI, backend: FakeBackend
) -> None:
    backend.open.clear()
    batch = await begin(client, jsonl(*map(line, range(20))))
    await client.files.delete(batch.input_file_id)
    backend.open.set()
    batch = await ended(client, batch.id)
    assert len(await rows(client, batch.output_file_id)) == 20


async def test_outputs_expire_as_was_asked(client: openai.AsyncOpenAI, kept: BatchSettings) -> None:
    batch = await begin(
        client, jsonl(line(0)), output_expires_after={"anchor": "created_at", "seconds": 3600}
    )
    batch = await ended(client, batch.id)
    assert batch.output_file_id is not None
    output = await client.files.retrieve(batch.output_file_id)
    assert output.expires_at == output.created_at + 3600
    assert (output.purpose, output.filename) == ("batch_output", f"{batch.id}_output.jsonl")
    with sqlite3.connect(kept.folder / "batches.db") as database:  # an hour passes
        database.execute("UPDATE files SET expires_at = created_at - 1")
    with pytest.raises(openai.NotFoundError):
        await client.files.content(output.id)
    assert not (await client.files.list()).data


async def test_an_upload_that_is_too_large_or_breaks_off_leaves_nothing(
    serve: Serve, backend: FakeBackend, tmp_path: Path
) -> None:
    kept = BatchSettings(tmp_path / "batches", max_file_bytes=300_000)
    gateway = await serve(backend, batches=kept)
    async with client_of(gateway) as client:
        with pytest.raises(openai.APIStatusError) as refused:
            await client.files.create(file=("in.jsonl", b"x" * 300_001), purpose="batch")
        assert refused.value.status_code == 413
        with pytest.raises(openai.BadRequestError, match="purpose must be batch"):
            await client.files.create(file=("in.jsonl", b"x"), purpose="vision")
    port = int(gateway.address.split(":")[-1])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 200000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + b"x" * 100_000
    )
    await writer.drain()
    files = kept.folder / "files"
    await until(lambda: any(files.iterdir()))
    writer.close()
    await until(lambda: not any(files.iterdir()))


async def test_a_full_disk_in_mid_upload(
    client: openai.AsyncOpenAI, kept: BatchSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(part: Part, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Part, "write", full)
        with pytest.raises(openai.InternalServerError) as refused:
            await client.files.create(file=("in.jsonl", b"x" * 100), purpose="batch")
    assert (refused.value.status_code, refused.value.code) == (507, "disk_full")
    assert not any((kept.folder / "files").iterdir())
    assert await client.files.create(file=("in.jsonl", b"x" * 100), purpose="batch")


async def test_an_upload_is_asked_for_before_it_is_sent(
    gateway: Gateway, http: aiohttp.ClientSession
) -> None:
    form = aiohttp.FormData({"purpose": "batch"})
    form.add_field("file", jsonl(line(0)), filename="in.jsonl")
    async with http.post(gateway.address + "/v1/files", data=form, expect100=True) as answer:
        assert (await answer.json())["filename"] == "in.jsonl"


# ---- whose --------------------------------------------------------------------------------------


async def test_tenants_see_only_their_own(
    serve: Serve, backend: FakeBackend, kept: BatchSettings
) -> None:
    keys = tuple(ApiKey(name, hash_key(name)) for name in ("ann", "bob"))
    gateway = await serve(backend, batches=kept, keys=keys)
    async with client_of(gateway, api_key="ann") as ann, client_of(gateway, api_key="bob") as bob:
        batch = await ended(ann, (await begin(ann, jsonl(line(0)))).id)
        assert batch.output_file_id is not None
        for gone in (
            bob.batches.retrieve(batch.id),
            bob.batches.cancel(batch.id),
            bob.files.retrieve(batch.input_file_id),
            bob.files.content(batch.output_file_id),
            bob.files.delete(batch.output_file_id),
            bob.batches.create(
                input_file_id=batch.input_file_id, endpoint=CHAT, completion_window="24h"
            ),
        ):
            with pytest.raises(openai.NotFoundError):
                await gone
        assert not (await bob.batches.list()).data
        assert not (await bob.files.list()).data
        assert [one.id for one in (await ann.batches.list()).data] == [batch.id]
        assert len((await ann.files.list()).data) == 2
        assert await rows(ann, batch.output_file_id)


async def test_batches_are_listed_page_by_page(client: openai.AsyncOpenAI) -> None:
    made = [(await begin(client, jsonl(line(0)))).id for _ in range(5)]
    assert [one.id async for one in client.batches.list(limit=2)] == made[::-1]
    with pytest.raises(openai.BadRequestError) as refused:
        await client.batches.list(after="batch_nowhere")
    assert refused.value.param == "after"


async def test_a_gateway_without_a_folder_says_so(serve: Serve, backend: FakeBackend) -> None:
    async with client_of(await serve(backend)) as client:
        with pytest.raises(openai.NotFoundError, match=r"batch\.folder"):
            await client.batches.list()
