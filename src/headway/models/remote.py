"""A model on another server: Triton, KServe, TorchServe, TensorFlow Serving, another Headway.

With batches of one item and many at a time, the server does the batching.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import aiohttp

from headway.batching.driver import WorkerLost
from headway.models.signature import BadItem, ModelFailure, Signature
from headway.redaction import masked

TIMEOUT_S = 300.0
CHECK_TIMEOUT_S = 5.0
"""Timeout of a request for the model's description."""
FIRST_BACK_OFF_S = 0.1
MOST_BACK_OFF_S = 5.0
PATIENCE_S = 30.0
"""Requests wait so long for a server to return before they fail."""

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[tuple[bytes, Mapping[str, str]]]]
"""Posts (path below the model's URL, body, headers) and returns body and headers of the answer.
Raises the errors of `RemoteModel.run`."""


class WireProtocol(Protocol):
    """A protocol that servers speak."""

    def signature(self, answer: bytes) -> Signature:
        """The signature in the answer of the URL. Raises ValueError, KeyError or TypeError."""
        ...

    async def run(self, post: Post, items: Sequence[Any]) -> Sequence[Any]:
        """Return the results of `items`. Raises ValueError for an answer that has none."""
        ...


class RemoteModel:
    """Runs batches on a server.

    Args:
        url: of the model, as http://host:8000/v2/models/NAME.
        protocol: what that server speaks.
        at_once: number of batches that the server gets at a time.
    """

    def __init__(self, url: str, protocol: WireProtocol, at_once: int) -> None:
        self.url = url
        self._shown = masked(url)
        self.at_once = at_once
        self._protocol = protocol
        self.on_change: Callable[[int, ModelFailure | None], None] = lambda alive, error: None
        self._session: aiohttp.ClientSession | None = None
        self._recovering: asyncio.Task[None] | None = None

    async def load(self) -> Signature:
        """Ask the server what the model takes.

        Raises:
            ModelFailure: it cannot be reached, or has no such model.
        """
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(timeout=timeout, connector=connector)
        try:
            async with self._session.get(self.url, timeout=_CHECK_TIMEOUT) as answer:
                body = await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = masked(str(error)) or "no answer"
            raise ModelFailure(f"{self._shown} cannot be reached ({reason})") from None
        if status != 200:
            raise ModelFailure(f"{self._shown} answers {status}: {_message(body)}")
        try:
            signature = self._protocol.signature(body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelFailure(f"{self._shown} describes no model ({error!r})") from None
        self.on_change(self.at_once, None)
        return signature

    async def run(self, items: list[Any]) -> Sequence[Any]:
        """Return the outputs of each item.

        Raises:
            WorkerLost: the server cannot be reached; we wait for it to return.
            BadItem: the server says that the batch is wrong.
            ModelFailure: the server failed.
        """
        try:
            return await self._protocol.run(self._post, items)
        except BadItem:
            raise
        except ValueError as error:
            raise ModelFailure(f"{self._shown} answers nonsense: {error}") from None

    async def unload(self) -> None:
        """Close the connections to the server."""
        self.on_change(0, None)
        if self._recovering is not None:
            self._recovering.cancel()
            self._recovering = None
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[bytes, Mapping[str, str]]:
        if self._session is None:
            raise WorkerLost(f"{self._shown} is not in use any more")
        try:
            async with self._session.post(
                f"{self.url}{path}", data=body, headers=headers
            ) as answer:
                answered = await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            if self._recovering is None:
                self.on_change(0, None)
                self._recovering = asyncio.get_running_loop().create_task(self._recover())
            raise WorkerLost(f"{self._shown} cannot be reached ({masked(str(error))})") from None
        if status == 200:
            return answered, answer.headers
        message = f"{self._shown} answers {status}: {_message(answered)}"
        raise (BadItem if 400 <= status < 500 else ModelFailure)(message)

    async def _recover(self) -> None:
        """Try to reach the server until it answers again."""
        loop = asyncio.get_running_loop()
        since_s, back_off_s = loop.time(), FIRST_BACK_OFF_S
        while True:
            await asyncio.sleep(back_off_s)
            back_off_s = min(2.0 * back_off_s, MOST_BACK_OFF_S)
            try:
                await self.load()
            except ModelFailure as error:
                if loop.time() - since_s > PATIENCE_S:
                    self.on_change(0, error)
                continue
            self._recovering = None
            return


_CHECK_TIMEOUT = aiohttp.ClientTimeout(total=CHECK_TIMEOUT_S)


def _message(body: bytes) -> str:
    """The message of an error answer: in `error`, or one level deeper in OpenAI's format."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
