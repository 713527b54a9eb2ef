"""The least that an aiohttp proxy can do: bodies and chunks through, and nothing else.

    python bench/passthrough.py PORT BACKEND_URL

No routes, no JSON, no log, no limits: what `overhead.py` measures the gateway beside.
"""

from __future__ import annotations

import argparse
import asyncio

import aiohttp
import uvloop
from aiohttp import web


async def serve(port: int, backend_url: str) -> None:
    """Pass everything on until the process is stopped."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    )

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        url = backend_url + request.path_qs
        async with session.request(request.method, url, data=body) as answer:
            kind = {"Content-Type": answer.headers.get("Content-Type", "application/json")}
            if answer.content_length is not None:
                return web.Response(status=answer.status, body=await answer.read(), headers=kind)
            response = web.StreamResponse(status=answer.status, headers=kind)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("port", type=int)
    options.add_argument("backend_url")
    given = options.parse_args()
    uvloop.run(serve(given.port, given.backend_url))
