"""/v1/files by the official client."""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import Any

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
    async for file in client.files.list(limit=2):  # each page goes on after one that is deleted
        await client.files.delete(file.id)
    assert not (await client.files.list()).data


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


FORM = (
    b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\n%b\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
)
BEGIN = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'


async def refused_early(gateway: Gateway, length: bytes, pieces: Iterable[bytes]) -> dict[str, Any]:
    """The answer to an upload, which comes before all pieces were sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.address.split(":")[-1]))
    writer.write(FORM % length)
    answered = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
    for piece in pieces:
        with suppress(ConnectionError):
            writer.write(piece)
            await writer.drain()
        await asyncio.sleep(0)
        if answered.done():
            break
    else:
        raise AssertionError("all of it was taken")
    head = await answered
    status = int(head.split()[1])
    size = int(head.lower().partition(b"content-length:")[2].split()[0])
    body = json.loads(await reader.readexactly(size))
    writer.close()
    return {"status": status, **body["error"]}


async def test_ten_gigabytes_are_refused_before_they_are_read(
    serve: Serve, backend: FakeBackend, kept: BatchSettings
) -> None:
    gateway = await serve(backend, batches=kept)
    length = b"Content-Length: %d" % (10 * 2**30)
    refused = await refused_early(gateway, length, repeat(b"", 1000))
    assert (refused["status"], refused["code"], refused["param"]) == (413, "body_too_large", "file")
    assert not any((kept.folder / "files").iterdir())


async def test_an_upload_of_unknown_length_is_refused_at_the_limit(
    serve: Serve, backend: FakeBackend, tmp_path: Path
) -> None:
    kept = BatchSettings(tmp_path / "batches", max_file_bytes=3 * 2**20)
    gateway = await serve(backend, batches=kept)
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    begin = b"%x\r\n%b\r\n" % (len(BEGIN), BEGIN)
    written: list[int] = []

    def pieces() -> Iterator[bytes]:
        yield begin
        for _ in range(10 * 2**30 // 0x10000):
            written.append(sum(one.stat().st_size for one in (kept.folder / "files").iterdir()))
            yield chunk

    refused = await refused_early(gateway, b"Transfer-Encoding: chunked", pieces())
    assert (refused["status"], refused["code"]) == (413, "body_too_large")
    assert max(written) <= kept.max_file_bytes
    await until(lambda: not any((kept.folder / "files").iterdir()))


async def test_a_disk_that_takes_no_more_in_mid_upload(
    client: openai.AsyncOpenAI, kept: BatchSettings
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        with pytest.raises(openai.InternalServerError) as refused:
            await client.files.create(file=("in.jsonl", b"x" * 3 * 2**20), purpose="batch")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (refused.value.status_code, refused.value.code) == (507, "disk_full")
    assert not any((kept.folder / "files").iterdir())


async def test_a_full_file_system_in_mid_upload_and_under_a_batch(
    serve: Serve, backend: FakeBackend, full_soon: Path
) -> None:
    gateway = await serve(backend, batches=BatchSettings(full_soon / "batches"))
    async with client_of(gateway) as client:
        with pytest.raises(openai.InternalServerError) as refused:
            await client.files.create(file=("in.jsonl", b"x" * 5 * 2**20), purpose="batch")
        assert (refused.value.status_code, refused.value.code) == (507, "disk_full")
        assert not any((full_soon / "batches" / "files").iterdir())
        backend.open.clear()
        batch = await begin(client, jsonl(*map(line, range(200))))
        await until(lambda: backend.running > 0)
        filling = full_soon / "filling"
        with suppress(OSError), filling.open("wb", 0) as file:
            while True:
                file.write(b"x" * 4096)
        backend.open.set()
        await asyncio.sleep(0.2)
        filling.unlink()
        batch = await ended(client, batch.id, limit_s=30.0)
        assert len(await rows(client, batch.output_file_id)) == 200
        assert len(backend.requests) == 200


@pytest.fixture
def full_soon(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_an_upload_is_asked_for_before_it_is_sent(
    gateway: Gateway, http: aiohttp.ClientSession
) -> None:
    form = aiohttp.FormData({"purpose": "batch"})
    form.add_field("file", jsonl(line(0)), filename="in.jsonl")
    async with http.post(gateway.address + "/v1/files", data=form, expect100=True) as answer:
        assert (await answer.json())["filename"] == "in.jsonl"
