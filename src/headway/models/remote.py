"""A model on a server that speaks the Open Inference Protocol: Triton, KServe, TorchServe, Headway.

With batches of one item and many at a time it is the server that batches.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from headway.batching.driver import WorkerLost
from headway.models.open_inference import BINARY_LENGTH, decode_response, encode_request
from headway.models.signature import BadItem, ModelError, Signature, TensorSpec
from headway.models.stacked import Tensors, stacks

TIMEOUT_S = 300.0
LOOK_S = 5.0
"""How long a look at its health may take."""
FIRST_BACK_OFF_S = 0.1
MOST_BACK_OFF_S = 5.0
PATIENCE_S = 30.0
"""After so long without the server, those who wait are told."""


class RemoteModel:
    """Runs batches on a server.

    Args:
        url: of the model, such as http://host:8000/v2/models/NAME; a URL without a path is that
            of the server, and the model has the name `name` there.
        name: what it is called here.
        at_once: batches that the server gets at a time.
    """

    def __init__(self, url: str, name: str, at_once: int) -> None:
        plain = urlsplit(url).path in ("", "/")
        self.url = f"{url.rstrip('/')}/v2/models/{name}" if plain else url
        self.at_once = at_once
        self.on_change: Callable[[int, ModelError | None], None] = lambda alive, error: None
        self._session: aiohttp.ClientSession | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._batched = True

    async def load(self) -> Signature:
        """Ask the server what the model takes.

        Raises:
            ModelError: it cannot be reached, or has no such model.
        """
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(timeout=timeout, connector=connector)
        try:
            async with self._session.get(self.url, timeout=_LOOK) as answer:
                told = await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ModelError(f"{self.url} cannot be reached ({error or 'no answer'})") from None
        if status != 200:
            raise ModelError(f"{self.url} answers {status}: {_message(told)}")
        try:
            described = json.loads(told)
            signature = Signature(
                task="tensors",
                platform=str(described.get("platform", "")),
                inputs=tuple(map(_spec, described.get("inputs", ()))),
                outputs=tuple(map(_spec, described.get("outputs", ()))),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{self.url} describes no model ({error!r})") from None
        self._batched = signature.batched
        self.on_change(self.at_once, None)
        return signature

    async def run(self, items: list[Any]) -> Sequence[Any]:
        """The outputs of each item.

        Raises:
            WorkerLost: the server cannot be reached; it is looked for.
            BadItem: the server says that the batch is wrong.
            ModelError: the server failed.
        """
        if not self._batched:
            return [await self._batch(item) for item in items]
        found: list[Tensors] = [{}] * len(items)
        for places, batch in stacks(items):
            outputs = await self._batch(batch)
            for row, place in enumerate(places):
                found[place] = {name: output[row] for name, output in outputs.items()}
        return found

    async def unload(self) -> None:
        """Forget the server."""
        self.on_change(0, None)
        if self._recovering is not None:
            self._recovering.cancel()
            self._recovering = None
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _batch(self, batch: Tensors) -> Tensors:
        if self._session is None:
            raise WorkerLost(f"{self.url} is not in use any more")
        body, json_bytes = encode_request(batch)
        headers = {
            BINARY_LENGTH: str(json_bytes),
            "Content-Type": "application/octet-stream",
        }
        try:
            async with self._session.post(
                f"{self.url}/infer", data=body, headers=headers
            ) as answer:
                told = await answer.read()
                status = answer.status
                length = answer.headers.get(BINARY_LENGTH)
        except (aiohttp.ClientError, TimeoutError) as error:
            if self._recovering is None:
                self.on_change(0, None)
                self._recovering = asyncio.get_running_loop().create_task(self._recover())
            raise WorkerLost(f"{self.url} cannot be reached ({error})") from None
        if status == 200:
            try:
                return decode_response(told, None if length is None else int(length))
            except (BadItem, ValueError) as error:
                raise ModelError(f"{self.url} answers nonsense: {error}") from None
        message = f"{self.url} answers {status}: {_message(told)}"
        raise (BadItem if 400 <= status < 500 else ModelError)(message)

    async def _recover(self) -> None:
        """Look for the server until it is there again."""
        loop = asyncio.get_running_loop()
        since_s, back_off_s = loop.time(), FIRST_BACK_OFF_S
        while True:
            await asyncio.sleep(back_off_s)
            back_off_s = min(2.0 * back_off_s, MOST_BACK_OFF_S)
            try:
                await self.load()
            except ModelError as error:
                if loop.time() - since_s > PATIENCE_S:
                    self.on_change(0, error)
                continue
            self._recovering = None
            return


_LOOK = aiohttp.ClientTimeout(total=LOOK_S)


def _spec(told: dict[str, Any]) -> TensorSpec:
    return TensorSpec(told["name"], told["datatype"], tuple(int(size) for size in told["shape"]))


def _message(told: bytes) -> str:
    try:
        message = json.loads(told)["error"]
    except (ValueError, KeyError, TypeError):
        message = told[:200].decode(errors="replace")
    return str(message)
