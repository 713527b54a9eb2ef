"""A collector of OpenTelemetry: takes OTLP over HTTP, and decodes it."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Receiver:
    """Takes spans; answers with `status`."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.url = ""
        self.messages = 0
        self._taken: asyncio.Queue[Any] = asyncio.Queue()
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(application)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def spans(self, count: int) -> list[Any]:
        """The next spans, as protobuf."""
        async with asyncio.timeout(30):
            return [await self._taken.get() for _ in range(count)]

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.messages += 1
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self._taken.put_nowait(span)
        return web.Response(status=self.status, content_type="application/x-protobuf")


def attributes(span: Any) -> dict[str, Any]:
    """The attributes of a span."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}
