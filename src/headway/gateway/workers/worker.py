"""What the gateway asks a worker of workflows, by HTTP. Nothing of it is kept here."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from headway.gateway.api.errors import ApiError, sentence
from headway.gateway.settings import WorkerSettings
from headway.unreachable import why_unreachable

TIMEOUT = aiohttp.ClientTimeout(total=20.0, sock_connect=3.0)


class _Error(msgspec.Struct):
    message: str


class _Refusal(msgspec.Struct):
    error: _Error


_refusal = msgspec.json.Decoder(_Refusal)


class Worker:
    """The API of one worker.

    Args:
        settings: where it is, and whose runs it has.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self.name = settings.name
        self.tenant = settings.tenant
        self._url = settings.url
        self._headers = {} if settings.key is None else {"authorization": f"Bearer {settings.key}"}
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()

    async def ask(
        self, path: tuple[str, ...], query: Mapping[str, str] | None = None, json: object = None
    ) -> bytes:
        """The JSON that it answers; with `json`, to a POST of that.

        Args:
            path: its parts below `/v1`, as they are.
            query: parameters.
            json: the body.

        Raises:
            ApiError: what the worker refuses it with, or 502 or 503 if it does not answer.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT, headers=self._headers)
        method = "GET" if json is None else "POST"
        url = f"{self._url}/v1/{'/'.join(quote(part, safe='') for part in path)}"
        try:
            async with self._session.request(
                method, URL(url, encoded=True).with_query(query), json=json
            ) as answer:
                body, status = await answer.read(), answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(
                503,
                f"Worker {self.name} does not answer: {why_unreachable(error)}; start it with "
                "`headway worker FILE --port PORT`, or mend its address in the setting workers.",
                type="server_error",
                code="worker_away",
            ) from None
        if status < 300:
            return body
        raise self._refused(status, body)

    def _refused(self, status: int, body: bytes) -> ApiError:
        if status == 401:
            return ApiError(
                502,
                f"Worker {self.name} does not take the gateway's key: let key_env in the setting "
                "workers name a variable with its HEADWAY_WORKER_KEY, and start the gateway anew.",
                type="server_error",
                code="worker_key",
            )
        try:
            message = _refusal.decode(body).error.message
        except msgspec.DecodeError:
            return ApiError(
                502,
                f"Worker {self.name} answered {status}, and not as a worker does; mend its "
                "address in the setting workers.",
                type="server_error",
                code="worker_unknown",
            )
        return ApiError(
            status if status in (400, 404, 409) else 502,
            sentence(message),
            code="worker_refused",
        )
