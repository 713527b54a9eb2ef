"""What cannot be run as a batch, and why."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.routes.batches import (
    CHAT,
    begin,
    ended,
    jsonl,
    line,
    rows,
)


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


async def test_a_model_that_does_not_exist_in_a_file_of_several(
    client: openai.AsyncOpenAI, backend: FakeBackend
) -> None:
    mixed = jsonl(line(0), line(1, model="gpt-9"), line(2))
    assert await errors_of(client, mixed) == [(2, "mismatched_model", "body.model")]
    assert not backend.requests


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
