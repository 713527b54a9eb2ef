"""Batches by the official client, as tests ask for them."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import Any

import aiohttp
import openai
from openai.types import Batch
from tests.gateway.fake_backend import FakeBackend

from headway.gateway.server import Gateway
from headway.gateway.work.work import Work

CHAT = "/v1/chat/completions"


def line(n: int, url: str = CHAT, **body: Any) -> dict[str, Any]:
    asked = {"model": "fake", "messages": [{"role": "user", "content": f"Number {n}"}]}
    return {"custom_id": f"c{n}", "method": "POST", "url": url, "body": asked | body}


def jsonl(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


async def begin(
    client: openai.AsyncOpenAI, content: bytes, endpoint: Any = CHAT, **options: Any
) -> Batch:
    file = await client.files.create(file=("in.jsonl", content), purpose="batch")
    return await client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", **options
    )


async def ended(client: openai.AsyncOpenAI, id: str, limit_s: float = 30.0) -> Batch:
    async with asyncio.timeout(limit_s):
        while True:
            batch = await client.batches.retrieve(id)
            if batch.status in ("completed", "failed", "expired", "cancelled"):
                return batch
            await asyncio.sleep(0.01)


async def until_completed(client: openai.AsyncOpenAI, id: str, lines: int) -> None:
    """Wait until so many lines are completed."""
    async with asyncio.timeout(30):
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


async def post(gateway: Gateway, path: str) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as http, http.post(gateway.address + path) as answer:
        return answer.status, await answer.json()


def works_of(gateway: Gateway) -> list[Work]:
    """The requests that it has."""
    return list(gateway.dispatcher.works.values())
