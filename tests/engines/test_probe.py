"""connect(): the client for whatever answers."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from tests.engines.conftest import Serve
from tests.engines.fake_vllm import FakeVllm
from tests.engines.generations import endpoint

from headway.engines.embedded import EmbeddedServer
from headway.engines.engine import BackendGone
from headway.engines.llamacpp import LlamaCppEngine
from headway.engines.openai_server import OpenAIEngine
from headway.engines.probe import connect
from headway.engines.vllm import VllmEngine


def answering(**answers: Any) -> web.Application:
    """A server with these answers at these paths (`_` for `/`)."""
    application = web.Application()
    for path, answer in answers.items():

        async def handle(_: web.Request, answer: Any = answer) -> web.Response:
            return web.json_response(answer)

        application.router.add_get("/" + path.replace("__", "/"), handle)
    return application


def models(owner: str) -> dict[str, Any]:
    return {"data": [{"id": "m", "owned_by": owner}]}


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ({"v1__models": models("openai")}, "openai"),
        ({"v1__models": models("library")}, "ollama"),
        ({"v1__models": models("x"), "api__version": {"version": "0.5"}}, "ollama"),
        ({"v1__models": models("sglang")}, "sglang"),
        ({"v1__models": models("x"), "get_server_info": {"version": "0.4"}}, "sglang"),
        ({"v1__models": models("llamacpp")}, "openai"),  # without /props: only a proxy of one
    ],
)
async def test_what_can_only_forward(serve: Serve, answers: dict[str, Any], kind: str) -> None:
    engine = await connect(endpoint(await serve(answering(**answers))))
    assert type(engine) is OpenAIEngine
    assert (await engine.describe()).engine == kind
    await engine.close()


async def test_vllm(serve: Serve) -> None:
    engine = await connect(endpoint(await serve(FakeVllm().application) + "/v1"))
    assert type(engine) is VllmEngine
    await engine.close()
    renamed = answering(v1__models=models("company"), version={"version": "0.11"})
    engine = await connect(endpoint(await serve(renamed)))
    assert type(engine) is VllmEngine
    await engine.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_llama_cpp(server: EmbeddedServer) -> None:
    assert server.endpoint is not None
    engine = await connect(server.endpoint)
    assert type(engine) is LlamaCppEngine
    assert (await engine.describe()).slots == 1
    await engine.close()


async def test_nobody() -> None:
    with pytest.raises(BackendGone):
        await connect(endpoint("http://127.0.0.1:9"))
