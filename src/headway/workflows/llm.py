"""Calls of models through the gateway, with what it needs to schedule them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from headway.unreachable import why_unreachable
from headway.workflows.failures import backoff_s

logger = logging.getLogger(__name__)

TRIES = 6
"""Of a call that the gateway or its backends cannot take now."""
PATIENCE_S = 300.0
"""How long a call waits for a gateway that does not answer at all: it may be started again."""
BUSY = (408, 409, 425, 429, 500, 502, 503, 504)


class Refused(Exception):
    """A model server refused a call. Its `worth_retrying` says whether another try may go well."""

    def __init__(
        self,
        message: str,
        status: int = 0,
        retry_after_s: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, status)
        self.status = status
        self.retry_after_s = retry_after_s
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def worth_retrying(self) -> bool:
        """Whether it was busy or away, rather than asked for what it cannot do."""
        return self.status == 0 or self.status in BUSY


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered."""

    text: str
    model: str = ""
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    message: dict[str, Any] = {}
    """The whole message, with calls of tools."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a call is made: becomes the headers by which the gateway schedules it."""

    program: str
    step: str
    key: str
    """Names the call, so that an answer that was lost on the way is not paid twice."""
    traceparent: str
    """The span under which the gateway's own go."""
    tier: str | None = None
    deadline_s: float | None = None
    """Seconds from now, of the whole run. Once it is over, or cannot be met, the call goes on
    without: a run that is late is better than one that failed."""
    remaining_s: float | None = None
    """What the run is predicted to need after this call."""

    def headers(self) -> dict[str, str]:
        """The headers of the call."""
        headers = {
            "x-headway-program": self.program,
            "x-headway-step": self.step,
            "idempotency-key": self.key,
            "traceparent": self.traceparent,
        }
        if self.tier is not None:
            headers["x-headway-tier"] = self.tier
        if self.deadline_s is not None and self.deadline_s > 0:
            headers["x-headway-deadline-ms"] = str(max(1, round(self.deadline_s * 1e3)))
        if self.remaining_s is not None:
            headers["x-headway-remaining-ms"] = str(round(self.remaining_s * 1e3))
        return headers


class Gateway:
    """A gateway, or any server that speaks OpenAI's API.

    Args:
        url: its address, such as http://127.0.0.1:8080; `/v1` may follow.
        key: an API key.
        patient: whether it is waited for although it has not answered yet; one that has is.
        timeout_s: for one call, waiting included.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        patient: bool = False,
        timeout_s: float = 3600.0,
    ) -> None:
        self._url = url.rstrip("/").removesuffix("/v1")
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=10.0)
        self._session: aiohttp.ClientSession | None = None
        self._patient = patient
        self._said_away = False

    async def close(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()

    async def chat(self, body: Mapping[str, Any], asker: Asker | None) -> Answer:
        """The answer to a chat completion. Raises Refused."""
        answer = await self._post("/v1/chat/completions", body, asker)
        try:
            choice = answer["choices"][0]
            message = choice["message"]
            usage = answer.get("usage") or {}
            return Answer(
                text=message.get("content") or "",
                model=answer.get("model") or "",
                finish_reason=choice.get("finish_reason"),
                prompt_tokens=usage.get("prompt_tokens"),
                output_tokens=usage.get("completion_tokens"),
                message=message,
            )
        except (KeyError, IndexError, TypeError, AttributeError):
            raise Refused(f"{self._url} answered something that is no chat completion") from None

    async def embed(
        self, texts: Sequence[str], model: str, asker: Asker | None
    ) -> list[list[float]]:
        """The vectors of texts. Raises Refused."""
        body = {"model": model, "input": list(texts), "encoding_format": "float"}
        answer = await self._post("/v1/embeddings", body, asker)
        try:
            return [row["embedding"] for row in sorted(answer["data"], key=lambda x: x["index"])]
        except (KeyError, TypeError):
            raise Refused(f"{self._url} answered something that is no embedding") from None

    async def predict(self, items: Sequence[Any], model: str, asker: Asker | None) -> list[Any]:
        """What a model that answers batches returns for items. Raises Refused."""
        path = f"/v1/models/{quote(model, safe='')}:predict"
        answer = await self._post(path, {"instances": list(items)}, asker)
        try:
            return list(answer["predictions"])
        except (KeyError, TypeError):
            raise Refused(f"{self._url} answered something that is no prediction") from None

    async def waiting(self) -> int:
        """How many requests wait there. Raises Refused."""
        try:
            async with self._opened().get(
                f"{self._url}/v1/headway/queue?limit=1", headers=self._headers
            ) as answer:
                view = await answer.json()
                return int(view["waiting"])
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise Refused(f"{self._url} does not say who waits: {error}") from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, connector=aiohttp.TCPConnector(limit=0)
            )
        return self._session

    async def _post(self, path: str, body: Mapping[str, Any], asker: Asker | None) -> Any:
        until_s = time.monotonic() + PATIENCE_S
        for trial in count(1):
            try:
                return await self._once(path, body, asker)
            except Refused as refused:
                if refused.code == "deadline_exceeded" and asker is not None and asker.deadline_s:
                    asker = replace(asker, deadline_s=None)
                    continue
                waits = refused.status == 0 and self._patient and time.monotonic() < until_s
                if not refused.worth_retrying or (trial >= TRIES and not waits):
                    raise
                if trial == TRIES and not self._said_away:
                    self._said_away = True
                    logger.warning("%s Calls wait for it", refused)
                after_s = refused.retry_after_s
            await asyncio.sleep(backoff_s(trial, 0.25, 30.0, after_s))
        raise AssertionError("unreachable")

    async def _once(self, path: str, body: Mapping[str, Any], asker: Asker | None) -> Any:
        headers = self._headers | ({} if asker is None else asker.headers())
        try:
            async with self._opened().post(self._url + path, json=body, headers=headers) as answer:
                text = await answer.text()
        except aiohttp.InvalidURL:
            raise Refused(
                f"{self._url!r} is no address of a gateway: write http://HOST:PORT", 400
            ) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            why = why_unreachable(error)
            raise Refused(f"{self._url} does not answer: {why}; is `headway serve` up?") from None
        self._patient, self._said_away = True, False
        if answer.status != 200:
            after = answer.headers.get("retry-after", "")
            raise Refused(
                _of_error(text, "message") or f"{self._url} answered with status {answer.status}",
                answer.status,
                float(after) if after.replace(".", "", 1).isdecimal() else None,
                _of_error(text, "code"),
            )
        try:
            return json.loads(text)
        except ValueError:
            raise Refused(f"{self._url} answered something that is no JSON", 502) from None


def _of_error(text: str, field: str) -> str | None:
    try:
        return str(json.loads(text)["error"][field])
    except (ValueError, KeyError, TypeError):
        return None
