"""The same Idempotency-Key gets the same answer, which is paid once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import HELLO, Serve, catalog_of
from tests.gateway.fake_backend import FakeBackend

from headway.models.source import ModelSource

ASKED = {"model": "fake", "messages": HELLO}


async def post(
    http: aiohttp.ClientSession, address: str, key: str, body: dict[str, Any] | None = None
) -> tuple[int, Any, bool]:
    headers = {"idempotency-key": key}
    url = f"{address}/v1/chat/completions"
    async with http.post(url, json=body or ASKED, headers=headers) as answer:
        return answer.status, await answer.json(), "idempotent-replayed" in answer.headers


async def test_a_second_request_gets_the_answer_of_the_first(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    first = await post(http, gateway.address, "one")
    second = await post(http, gateway.address, "one")
    other = await post(http, gateway.address, "two")
    assert first[0] == second[0] == 200
    assert second[1] == first[1]
    assert (first[2], second[2], other[2]) == (False, True, False)
    assert len(backend.requests) == 2


async def test_a_request_waits_for_the_one_that_is_served(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    backend.open.clear()
    asking = [asyncio.create_task(post(http, gateway.address, "one")) for _ in range(3)]
    while not backend.running:
        await asyncio.sleep(0.01)
    backend.open.set()
    answers = await asyncio.gather(*asking)
    assert [status for status, _, _ in answers] == [200] * 3
    assert sorted(repeated for _, _, repeated in answers) == [False, True, True]
    assert len(backend.requests) == 1


async def test_if_the_first_client_leaves_the_next_one_is_served(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    backend.open.clear()
    first = asyncio.create_task(post(http, gateway.address, "one"))
    while not backend.running:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(post(http, gateway.address, "one"))
    first.cancel()
    while not backend.aborted:
        await asyncio.sleep(0.01)
    backend.open.set()
    status, _, repeated = await second
    assert (status, repeated) == (200, False)


async def test_an_error_is_not_kept(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    backend.faults.append((400, {"error": {"message": "not now"}}))
    assert (await post(http, gateway.address, "one"))[0] == 400
    assert (await post(http, gateway.address, "one"))[0] == 200


async def test_a_key_with_another_request_is_refused(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    await post(http, gateway.address, "one")
    status, body, _ = await post(http, gateway.address, "one", ASKED | {"temperature": 0.5})
    assert status == 422
    assert "use a new key for each request" in body["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "vectors", "input": ["one", "three"]}),
        ("/v1/rerank", {"model": "overlap", "query": "a", "documents": ["a b", "c"]}),
        ("/v1/classify", {"model": "mood", "input": ["fine"]}),
        ("/v1/models/vectors:predict", {"instances": ["one"]}),
        (
            "/v2/models/doubled/infer",
            {
                "inputs": [
                    {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]},
                    {"name": "z", "shape": [1], "datatype": "INT64", "data": [3]},
                ]
            },
        ),
    ],
)
async def test_models_that_answer_batches_are_asked_once_for_a_key(
    path: str, body: dict[str, Any], serve: Serve, tiny: Path, http: aiohttp.ClientSession
) -> None:
    catalog = catalog_of(
        "vectors", "overlap", "mood", doubled=ModelSource("onnx", str(tiny / "doubled.onnx"))
    )
    gateway = await serve(catalog=catalog)
    answers, repeated = [], []
    for key in ("one", "one", "two"):
        async with http.post(
            gateway.address + path, json=body, headers={"idempotency-key": key}
        ) as answer:
            assert answer.status == 200, await answer.text()
            answers.append(await answer.read())
            repeated.append("idempotent-replayed" in answer.headers)
    assert answers[0] == answers[1]
    assert repeated == [False, True, False]
    assert sum(model.statistics.succeeded for model in catalog) == 2


async def test_a_key_with_other_texts_is_refused(serve: Serve, http: aiohttp.ClientSession) -> None:
    gateway = await serve(catalog=catalog_of("vectors"))
    url, headers = f"{gateway.address}/v1/embeddings", {"idempotency-key": "one"}
    async with http.post(url, json={"model": "vectors", "input": "a"}, headers=headers) as answer:
        assert answer.status == 200
    async with http.post(url, json={"model": "vectors", "input": "b"}, headers=headers) as answer:
        assert answer.status == 422
