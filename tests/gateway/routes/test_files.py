"""/v1/files by the official client."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from pathlib import Path

import aiohttp
import openai
import pytest
from tests.gateway.conftest import Serve, client_of, until
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.routes.batches import (
    begin,
    ended,
    jsonl,
    line,
    rows,
)

from headway.batches.folder import Part
from headway.batches.settings import BatchSettings
from headway.gateway.server import Gateway


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
