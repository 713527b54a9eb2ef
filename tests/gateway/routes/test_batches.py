"""/v1/files and /v1/batches by the official client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Batch
from tests.gateway.conftest import Serve, client_of
from tests.gateway.fake_backend import FakeBackend

from headway.batches.settings import BatchSettings
from headway.gateway.server import Gateway

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
