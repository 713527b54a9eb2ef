"""A client of a gateway's files and batches, for the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import aiohttp
import msgspec

from headway.cli.exit import Failure
from headway.unreachable import why_unreachable

OVER = ("completed", "failed", "expired", "cancelled")
CHUNK_BYTES = 1024 * 1024


class Away(Failure):
    """Nobody answers at the address of the gateway."""


class BatchClient:
    """Talks to one gateway.

        async with BatchClient(url, api_key) as client:
            batch = await client.batch("batch_123")

    Args:
        url: base URL of the gateway, with or without `/v1`.
        api_key: sent along; empty: none.
    """

    def __init__(self, url: str, api_key: str) -> None:
        self._base = f"{url.rstrip('/').removesuffix('/v1')}/v1"
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=300.0)
        self._session = aiohttp.ClientSession(headers=headers, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def upload(self, path: Path) -> str:
        """Upload a file of requests; returns its id. Raises Failure and OSError."""
        with path.open("rb") as file:
            form = aiohttp.FormData({"purpose": "batch"})
            form.add_field("file", file, filename=path.name)
            uploaded = await self._json("POST", "/files", data=form)
        return str(uploaded["id"])

    async def create(self, file: str, endpoint: str) -> dict[str, Any]:
        """Begin a batch. Raises Failure."""
        asked = {"input_file_id": file, "endpoint": endpoint, "completion_window": "24h"}
        return await self._json("POST", "/batches", json=asked)

    async def batch(self, id: str) -> dict[str, Any]:
        """One batch. Raises Failure."""
        return await self._json("GET", f"/batches/{id}")

    async def act(self, id: str, what: str) -> dict[str, Any]:
        """Cancel, pause, resume or retry a batch; returns it, or the new one. Raises Failure."""
        return await self._json("POST", f"/batches/{id}/{what}")

    async def batches(self, most: int) -> list[dict[str, Any]]:
        """The newest batches. Raises Failure."""
        found: list[dict[str, Any]] = []
        while len(found) < most:
            query = {"limit": str(min(100, most - len(found)))}
            if found:
                query["after"] = found[-1]["id"]
            page = await self._json("GET", "/batches", params=query)
            found += page["data"]
            if not page["has_more"]:
                break
        return found

    async def follow(self, id: str, every_s: float) -> AsyncIterator[dict[str, Any]]:
        """The batch now and then, until it is over. A gateway that is away is waited for."""
        seen = False
        while True:
            try:
                batch = await self.batch(id)
            except Away:
                if not seen:
                    raise
            else:
                seen = True
                yield batch
                if batch["status"] in OVER:
                    return
            await asyncio.sleep(every_s)

    async def download(self, file: str, to: BinaryIO) -> None:
        """Write what is in a file. Raises Failure and OSError."""
        path = f"/files/{file}/content"
        try:
            async with self._session.get(self._base + path) as answer:
                await self._check(answer)
                async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                    to.write(chunk)
        except aiohttp.ClientError as error:
            raise self._unreachable(error) from None

    async def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            async with self._session.request(method, self._base + path, **options) as answer:
                await self._check(answer)
                found: dict[str, Any] = msgspec.json.decode(await answer.read())
                return found
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise self._unreachable(error) from None

    async def _check(self, answer: aiohttp.ClientResponse) -> None:
        if answer.status < 400:
            return
        try:
            message = str(msgspec.json.decode(await answer.read())["error"]["message"])
        except (msgspec.DecodeError, KeyError, TypeError):
            message = f"it answers {answer.status}"
        raise Failure(message.rstrip("."))

    def _unreachable(self, error: Exception) -> Away:
        return Away(
            f"no gateway at {self._base}: {why_unreachable(error)}; pass the address of one with "
            "--url"
        )
