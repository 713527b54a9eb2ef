"""OpenAIEngine: a client that passes everything through."""

from __future__ import annotations

import pytest
from aiohttp import web
from tests.engines.conftest import Serve
from tests.engines.generations import chat, endpoint

from headway.engines.engine import BackendGone, EngineError
from headway.engines.openai_server import OpenAIEngine


def application() -> web.Application:
    """A server with one model, that echoes what it is asked."""

    async def models(_: web.Request) -> web.Response:
        two = {"id": "m2", "architecture": {"input_modalities": ["text", "image", "video"]}}
        return web.json_response({"object": "list", "data": [{"id": "m1"}, two]})

    async def echo(request: web.Request) -> web.Response:
        key = request.headers.get("Authorization", "none")
        return web.Response(status=418, body=await request.read() + key.encode())

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(3):
            await response.write(b"data: %d\n\n" % number)
        if (await request.read()) == b"break":
            assert request.transport is not None
            request.transport.abort()
        return response

    application = web.Application(client_max_size=100_000_000)
    application.router.add_get("/v1/models", models)
    application.router.add_post("/v1/chat/completions", echo)
    application.router.add_post("/v1/completions", events)
    return application


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_its_url_may_end_in_v1_or_not(serve: Serve, suffix: str) -> None:
    engine = OpenAIEngine(endpoint(await serve(application()) + suffix))
    assert (await engine.describe()).models == ("m1", "m2")
    await engine.check()
    await engine.close()


async def test_a_url_with_a_path_is_taken_as_it_is(serve: Serve) -> None:
    outer = web.Application()
    inner = application().router
    for route in inner.routes():
        path = route.resource.canonical.removeprefix("/v1")  # type: ignore[union-attr]
        outer.router.add_route(route.method, f"/api/paas/v4{path}", route.handler)
    engine = OpenAIEngine(endpoint(await serve(outer) + "/api/paas/v4"))
    assert (await engine.describe()).models == ("m1", "m2")
    response = await engine.forward("chat/completions", b"{}")
    assert response.status == 418
    response.close()
    await engine.close()


async def test_a_password_in_the_url_opens_the_backend_and_is_never_shown(serve: Serve) -> None:
    url = (await serve(application())).replace("://", "://user:secret@")
    engine = OpenAIEngine(endpoint(url))
    response = await engine.forward("chat/completions", b"")
    assert await response.read() == b"Basic dXNlcjpzZWNyZXQ="
    assert "secret" not in engine.url
    await engine.close()
    nobody = OpenAIEngine(endpoint("http://user:secret@127.0.0.1:9"))
    for attempt in (nobody.describe(), nobody.check(), nobody.forward("completions", b"{}")):
        with pytest.raises(BackendGone) as gone:
            await attempt
        assert "secret" not in str(gone.value) and gone.value.__suppress_context__
    await nobody.close()


async def test_the_operator_may_name_the_models(serve: Serve) -> None:
    url = await serve(application())
    engine = OpenAIEngine(endpoint(url, models={"mine": "mine"}), kind="sglang")
    description = await engine.describe()
    assert description.models == ("mine",)
    assert description.engine == "sglang" and description.slots is None
    assert not description.exact_resume
    await engine.close()


async def test_what_models_take_is_reported_or_configured(serve: Serve) -> None:
    url = await serve(application())
    for configured, takes in (None, ["image"]), (frozenset({"audio"}), ["audio"]):
        engine = OpenAIEngine(endpoint(url, models={"sees": "m2"}, inputs=configured))
        assert list((await engine.describe()).takes("sees")) == takes
        await engine.close()


async def test_it_forwards_body_and_answer_untouched(serve: Serve) -> None:
    engine = OpenAIEngine(endpoint(await serve(application()), api_key="secret"))
    for body in (b'{ "weird" :  1 }', b"x" * 3_000_000):
        response = await engine.forward("chat/completions", body)
        assert response.status == 418
        assert response.content_type == "application/octet-stream"
        assert await response.read() == body + b"Bearer secret"
    await engine.close()


async def test_a_stream_comes_as_it_is(serve: Serve) -> None:
    engine = OpenAIEngine(endpoint(await serve(application())))
    response = await engine.forward("completions", b"{}")
    assert response.content_type == "text/event-stream"
    received = b"".join([chunk async for chunk in response.chunks()])
    assert received == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    await engine.close()


async def test_a_stream_that_breaks_off_is_gone(serve: Serve) -> None:
    engine = OpenAIEngine(endpoint(await serve(application())))
    response = await engine.forward("completions", b"break")
    with pytest.raises(BackendGone, match="fake"):
        async for _ in response.chunks():
            pass
    await engine.close()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, "", "check the API key"),
        (404, "", "name its models"),
        (200, '{"data": []}', "lists no models"),
        (200, "<html>", "not an OpenAI model list"),
        (503, "", "503"),
    ],
)
async def test_a_server_that_cannot_be_used_says_why(
    serve: Serve, status: int, body: str, message: str
) -> None:
    async def models(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    broken = web.Application()
    broken.router.add_get("/v1/models", models)
    engine = OpenAIEngine(endpoint(await serve(broken)))
    with pytest.raises(BackendGone, match=message):
        await engine.describe()
    await engine.close()


async def test_nobody_there_is_gone() -> None:
    engine = OpenAIEngine(endpoint("http://127.0.0.1:9/v1"))
    for attempt in (engine.describe(), engine.check(), engine.forward("completions", b"{}")):
        with pytest.raises(BackendGone, match="fake"):
            await attempt
    with pytest.raises(EngineError, match="forward"):
        engine.generate(chat("x"))
    await engine.close()
