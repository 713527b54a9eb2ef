"""HTTP itself: broken requests are answered in OpenAI's shape, slow ones are let go."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from headway.gateway.errors import ApiError
from headway.gateway.settings import GatewaySettings

logger = logging.getLogger(__name__)

KEEP_ALIVE_S = 75.0
LINGER_S = 2.0
"""How long a body that nobody wants is read on, so that its sender sees the error answer."""


class GatewayServer(web.Server):
    """aiohttp's low-level server, with connections of our own kind."""

    def __init__(self, handler: Any, settings: GatewaySettings) -> None:
        super().__init__(
            handler,
            request_factory=self._request,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE_S,
            lingering_time=min(LINGER_S, settings.read_timeout_s),
        )
        self.read_timeout_s = settings.read_timeout_s
        self._max_body_bytes = settings.max_body_bytes

    def _request(
        self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any
    ) -> web.BaseRequest:
        return web.BaseRequest(
            message,
            payload,
            protocol,
            writer,
            task,
            self._loop,
            client_max_size=self._max_body_bytes,
        )

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


class Connection(RequestHandler):
    """One client's connection."""

    __slots__ = ("_first_request_timer",)

    def __init__(self, server: GatewayServer, **kwargs: Any) -> None:
        super().__init__(server, **kwargs)
        self._first_request_timer: asyncio.TimerHandle | None = self._loop.call_later(
            server.read_timeout_s, self._give_up
        )

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._first_request_timer is not None:
            self._first_request_timer.cancel()
            self._first_request_timer = None
        super().connection_lost(exc)

    def _give_up(self) -> None:
        """No whole request header came in time."""
        self._first_request_timer = None
        transport = self.transport
        if self._request_count or transport is None:
            return
        body = ApiError(408, "The request header came too slowly.", code="request_timeout").body()
        transport.write(
            b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("The answer has begun, so its error cannot be told.")
        if status == 500:
            logger.error("cannot serve %s %s", request.method, request.path, exc_info=exc)
            error = ApiError(
                500,
                "Headway failed on this request; its log tells why.",
                type="server_error",
                code="internal_error",
            )
        else:
            reason = (message or "it cannot be parsed").splitlines()[0][:200]
            error = ApiError(status, f"This is not valid HTTP: {reason}", code="invalid_http")
        response = error.response()
        response.force_close()
        return response
