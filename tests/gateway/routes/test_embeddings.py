"""`/v1/embeddings` on models of our own, with the official client."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest
import requests
from tests.gateway.conftest import Serve, catalog_of, client_of
from tests.gateway.fake_backend import FakeBackend

from headway.models.minilm import fetched
from headway.models.source import BUILT_IN, ModelSource


@pytest.fixture(scope="module")
def client(models: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=models + "/v1", api_key="x", max_retries=0) as client:
        yield client


def vector(client: openai.OpenAI, text: Any, **options: Any) -> np.ndarray:
    answer = client.embeddings.create(model="text", input=text, **options)
    return np.array(answer.data[0].embedding)


def test_a_text_gets_a_vector_of_unit_length(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="text", input="a cat")
    assert answer.model == "text" and answer.object == "list"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 4
    found = np.array(answer.data[0].embedding)
    expected = np.array([0.1, 0.1, 0.35, 0.35])  # the mean of the rows of [CLS] a cat [SEP]
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-6)


def test_texts_of_a_list_get_theirs_in_their_places(client: openai.OpenAI) -> None:
    texts = ["a cat", "an animal", "zebra", "a"] * 20
    answer = client.embeddings.create(model="text", input=texts)
    assert [one.index for one in answer.data] == list(range(80))
    for one, text in zip(answer.data[:4], texts[:4], strict=True):
        np.testing.assert_allclose(one.embedding, vector(client, text), atol=1e-6)


def test_token_ids_are_taken_as_they_are(client: openai.OpenAI) -> None:
    expected = vector(client, "a cat")
    np.testing.assert_allclose(vector(client, [2, 4, 5, 3]), expected, atol=1e-6)
    np.testing.assert_allclose(vector(client, [[4, 5], [4]]), expected, atol=1e-6)


def test_vectors_are_cut_where_that_is_asked_and_of_unit_length_again(
    client: openai.OpenAI,
) -> None:
    full = vector(client, "a cat")
    cut = vector(client, "a cat", dimensions=3)
    np.testing.assert_allclose(cut, full[:3] / np.linalg.norm(full[:3]), atol=1e-6)


def test_base64_holds_the_same_numbers(models: str, client: openai.OpenAI) -> None:
    body = {"model": "text", "input": "a cat", "encoding_format": "base64"}
    told = requests.post(models + "/v1/embeddings", json=body).json()
    found = struct.unpack("<4f", base64.b64decode(told["data"][0]["embedding"]))
    plain = vector(client, "a cat", encoding_format="float")
    np.testing.assert_allclose(found, plain, atol=1e-7)


def test_a_long_text_is_an_error_unless_it_may_be_cut(client: openai.OpenAI) -> None:
    long = "cat " * 100
    with pytest.raises(openai.BadRequestError) as raised:
        client.embeddings.create(model="text", input=["a", long])
    assert raised.value.param == "input"
    assert "Text 1 has at least 50 tokens" in raised.value.message
    for most, kept in ((-1, 6), (5, 3)):
        cut = vector(client, long, extra_body={"truncate_prompt_tokens": most})
        np.testing.assert_allclose(cut, vector(client, "cat " * kept), atol=1e-6)
    for wrong in (1, 9):
        with pytest.raises(openai.BadRequestError, match="-1 or 3 to 8"):
            vector(client, long, extra_body={"truncate_prompt_tokens": wrong})


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": ["a", [4]]}, "input"),
        ({"input": ["a", 4]}, "input"),
        ({"input": [99]}, "input"),
        ({"input": [-1]}, "input"),
        ({"input": 3}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": "a", "dimensions": 5}, "dimensions"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "user": 3}, "user"),
    ],
)
def test_what_is_wrong_is_named(models: str, asked: dict[str, Any], param: str) -> None:
    answer = requests.post(models + "/v1/embeddings", json={"model": "text", **asked})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_a_model_that_does_something_else_says_what(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="made to take tensors, at /v2") as raised:
        client.embeddings.create(model="doubled", input="a")
    assert raised.value.code == "wrong_task"


def test_default_is_the_first_model_that_embeds(client: openai.OpenAI) -> None:
    assert client.embeddings.create(model="default", input="a").model == "text"


def test_an_unknown_model_is_named_with_those_that_there_are(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=r"'nope' does not exist; there are: text, "):
        client.embeddings.create(model="nope", input="a")
    with pytest.raises(openai.NotFoundError, match="'nope' does not exist"):
        client.chat.completions.create(model="nope", messages=[{"role": "user", "content": "a"}])
    with pytest.raises(openai.BadRequestError, match="cannot chat"):
        client.chat.completions.create(model="text", messages=[{"role": "user", "content": "a"}])
    assert [one.id for one in client.models.list()][:2] == ["default", "text"]
    assert client.models.retrieve("text").id == "text"


def test_without_backends_it_is_ready(models: str) -> None:
    assert requests.get(models + "/readyz").status_code == 200


async def test_models_of_backends_are_asked_there(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend, catalog=catalog_of("vectors"))
    async with client_of(gateway) as client:
        theirs = await client.embeddings.create(model="fake", input="a", encoding_format="float")
        assert theirs.data[0].embedding == [0.25, 0.5, 0.75]
        ours = await client.embeddings.create(model="vectors", input="abc")
        assert ours.data[0].embedding == [3.0, 1.0]
        with pytest.raises(openai.NotFoundError, match="default, fake, vectors"):
            await client.embeddings.create(model="nope", input="a")


def test_functions_embed_what_they_are_given(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="vectors", input=["abc", "de"])
    assert [one.embedding for one in answer.data] == [[3.0, 1.0], [2.0, 1.0]]


@pytest.mark.parametrize("model", ["not_a_number", "upper"])
def test_results_that_are_no_vectors_are_the_models_fault(models: str, model: str) -> None:
    answer = requests.post(models + "/v1/embeddings", json={"model": model, "input": "a"})
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert error["code"] == "model_failed"
    assert "finite numbers" in error["message"]


def test_a_model_that_cannot_be_loaded_says_why(models: str) -> None:
    body = {"model": "Unloadable", "input": "a"}
    for _ in range(2):
        answer = requests.post(models + "/v1/embeddings", json=body)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "model_unavailable"
        assert "there is no room" in answer.json()["error"]["message"]
        assert answer.headers["retry-after"] == "10"


def test_bodies_may_be_packed(models: str) -> None:
    body = json.dumps({"model": "text", "input": "a cat"}).encode()
    url = models + "/v1/embeddings"
    packed = {"content-encoding": "gzip"}
    assert requests.post(url, data=gzip.compress(body), headers=packed).status_code == 200
    assert requests.post(url, data=body, headers=packed).json()["error"]["code"] == "invalid_body"
    brotli = requests.post(url, data=body, headers={"content-encoding": "br"})
    assert brotli.status_code == 415
    bomb = gzip.compress(b" " * (17 * 1024 * 1024), 1)
    assert requests.post(url, data=bomb, headers=packed).status_code == 413


def test_ten_megabytes_of_text_are_refused_at_once(models: str) -> None:
    began_s = time.perf_counter()
    body = {"model": "text", "input": "cat " * 2_500_000}
    answer = requests.post(models + "/v1/embeddings", json=body)
    assert answer.status_code == 400
    assert "shorten it" in answer.json()["error"]["message"]
    assert time.perf_counter() - began_s < 2.0


async def test_the_model_that_comes_with_headway_knows_what_is_alike(serve: Serve) -> None:
    gateway = await serve(catalog=catalog_of(**{BUILT_IN: ModelSource("text", str(fetched()))}))
    texts = ["A cat sat on the mat.", "A kitten was lying on the rug.", "Stock prices fell again."]
    async with client_of(gateway) as client:
        answer = await client.embeddings.create(model=BUILT_IN, input=texts)
    cat, kitten, stocks = (np.array(one.embedding) for one in answer.data)
    assert len(cat) == 384
    assert cat @ kitten > 0.5 > 0.2 > cat @ stocks
