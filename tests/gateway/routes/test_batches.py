"""/v1/batches by the official client."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.gateway.conftest import Serve, ask, catalog_of, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.routes.batches import (
    CHAT,
    begin,
    ended,
    hang_after,
    jsonl,
    line,
    rows,
    until_completed,
    works_of,
)

from headway.batches import feeding, runner
from headway.batches.journal import Journal
from headway.batches.schema import Held, Result
from headway.batches.settings import BatchSettings
from headway.core.request import Tier
from headway.core.settings import PreemptionSettings, SchedulerSettings, TierSettings
from headway.gateway.dispatch import slot
from headway.gateway.keys.keys import hash_key
from headway.gateway.routes import lines
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey
from headway.models.source import source_of
from headway.prices.table import Prices
from headway.prices.tokens import TokenPrice
from headway.store.request_log import RequestLog, read
from headway.store.transactions import Refused


@pytest.mark.parametrize("last", ["completed", "cancelled"])
async def test_who_sees_that_a_batch_is_over_sees_all_that_it_cost(
    serve: Serve, backend: FakeBackend, kept: BatchSettings, tmp_path: Path, last: str
) -> None:
    log = RequestLog(tmp_path / "requests.db", batch_s=60.0)
    prices = Prices({"fake": TokenPrice(0.0, 0.01 * 1e6)})
    gateway = await serve(backend, batches=kept, request_log=log, prices=prices)
    async with client_of(gateway) as client:
        if last == "cancelled":
            hang_after(backend, 5)
        batch = await begin(client, jsonl(*map(line, range(20))))
        if last == "cancelled":
            await until_completed(client, batch.id, 5)
            await client.batches.cancel(batch.id)
        batch = await ended(client, batch.id)
        assert batch.status == last and batch.model_extra is not None
        assert batch.usage is not None and batch.usage.output_tokens >= 500
    await gateway.stop()
    log.close()
    costs = [one.cost or 0.0 for _, one in read(log.path) if one.batch == batch.id]
    assert batch.model_extra["headway"]["cost"] == pytest.approx(sum(costs))
    assert sum(costs) >= batch.usage.output_tokens / 100  # lines that were cut off cost, too


def answering(body: bytes) -> list[bytes]:
    """What a backend sends."""
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return [head.encode() + body]


async def test_a_line_of_the_output_is_one_line_for_every_program(
    client: openai.AsyncOpenAI, backend: FakeBackend
) -> None:
    """Python's `splitlines`, for one, takes more characters for the end of a line."""
    text = "one\u2028two\u2029three\u0085four"
    choice = json.dumps({"message": {"content": text}}, ensure_ascii=False)
    backend.script = answering(f'{{"choices": [\r{choice}\n]}}'.encode())
    batch = await ended(client, (await begin(client, jsonl(line(1)))).id)
    assert batch.output_file_id is not None
    output = (await client.files.content(batch.output_file_id)).text
    (only,) = output.splitlines()
    assert json.loads(only)["response"]["body"]["choices"][0]["message"]["content"] == text


async def test_what_a_backend_does_not_count_the_gateway_does(
    client: openai.AsyncOpenAI, backend: FakeBackend
) -> None:
    backend.script = answering(b'{"choices": [{"message": {"content": "sixteen letters."}}]}')
    batch = await ended(client, (await begin(client, jsonl(line(1)))).id)
    assert batch.usage is not None
    assert batch.usage.output_tokens == 4


async def test_an_answer_that_is_no_text_is_no_answer(
    client: openai.AsyncOpenAI, backend: FakeBackend
) -> None:
    backend.script = answering(b'{"choices": [{"message": {"content": "caf\xe9"}}]}')
    batch = await ended(client, (await begin(client, jsonl(line(1)))).id)
    (answer,) = await rows(client, batch.output_file_id)
    assert answer["response"]["body"]["choices"][0]["message"]["content"].startswith("word0")


async def test_a_line_whose_limit_makes_no_sense_fails_alone(
    client: openai.AsyncOpenAI, backend: FakeBackend
) -> None:
    batch = await begin(client, jsonl(line(1), line(2, max_tokens=-2)))
    batch = await ended(client, batch.id)
    assert batch.status == "completed"
    assert [one["custom_id"] for one in await rows(client, batch.output_file_id)] == ["c1"]
    (failed,) = await rows(client, batch.error_file_id)
    assert failed["response"]["status_code"] == 400


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
        await until(lambda: any(w.request.output_tokens > 3 for w in works_of(gateway)))
        (work,) = works_of(gateway)
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


async def test_few_lines_are_in_memory_and_slots_are_kept_busy(
    serve: Serve, backend: FakeBackend, kept: BatchSettings
) -> None:
    backend.open.clear()
    gateway = await serve(backend, slots=2, batches=kept)
    async with client_of(gateway) as client:
        batch = await begin(client, jsonl(*map(line, range(500))))
        await until(lambda: backend.running == 2)
        await asyncio.sleep(0)
        assert len(works_of(gateway)) <= 8
        backend.open.set()
        assert (await ended(client, batch.id)).status == "completed"


async def test_no_more_are_in_memory_than_the_tier_may_run_and_some_behind_them(
    serve: Serve, backend: FakeBackend, kept: BatchSettings
) -> None:
    backend.open.clear()
    capped = SchedulerSettings(tiers={Tier.BATCH: TierSettings(max_running=1)})
    gateway = await serve(backend, slots=50, batches=kept, scheduler=capped)
    async with client_of(gateway) as client:
        batch = await begin(client, jsonl(*map(line, range(500))))
        await until(lambda: len(works_of(gateway)) == 1 + lines.BESIDE_SLOTS)
        backend.open.set()
        backend.event_pause_s = 0.0
        await client.batches.cancel(batch.id)
        assert (await ended(client, batch.id)).status == "cancelled"


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
    await until(lambda: backend.running == 0 and not works_of(gateway))
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
    with pytest.raises(openai.ConflictError, match="status 'expired'"):
        await client.batches.cancel(batch.id)


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


@pytest.mark.parametrize("attempts", [1, 5])
async def test_a_line_that_fails_runs_five_times_and_then_has_its_error(
    serve: Serve,
    backend: FakeBackend,
    kept: BatchSettings,
    monkeypatch: pytest.MonkeyPatch,
    attempts: int,
) -> None:
    monkeypatch.setattr(lines, "FAILED_S", 0.01)
    monkeypatch.setattr(slot, "FIRST_PAUSE_OF_LINE_S", 0.01)
    broken = 500, {"error": {"message": "out of order", "type": "server_error"}}
    odd = count()

    def refuses(body: dict[str, Any]) -> Any:
        content = body["messages"][0]["content"]
        return (
            broken if content == "Number 1" or (content == "Number 2" and not next(odd)) else None
        )

    backend.refuses = refuses
    async with client_of(await serve(backend, batches=kept, attempts=attempts)) as client:
        batch = await ended(client, (await begin(client, jsonl(*map(line, range(4))))).id)
        (failed,) = await rows(client, batch.error_file_id)
        answered = [one["custom_id"] for one in await rows(client, batch.output_file_id)]
    assert (failed["custom_id"], failed["response"]["status_code"]) == ("c1", 500)
    assert answered == ["c0", "c2", "c3"]
    asked = [body["messages"][0]["content"] for _, body in backend.requests]
    assert asked.count("Number 1") == feeding.MOST_RUNS == 5
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
