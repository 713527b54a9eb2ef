"""The page at `/docs`: readable anywhere, with examples that are true."""

from __future__ import annotations

import gzip
import json
import re
import shlex

import aiohttp
import msgspec
import pytest
from tests.gateway.conftest import Serve
from tests.gateway.doubles import ExactEngine

from headway.gateway.routes.docs_page import FOLDER, PAGE, asset
from headway.gateway.routes.examples import BASE, BODIES, curl
from headway.gateway.routes.openapi import document
from headway.gateway.routes.route import Route
from headway.gateway.routes.table import TABLE
from headway.models.open_inference import decode_request

OPERATIONS = [one for of_path in document()["paths"].values() for one in of_path.values()]
WITH_BODY = [route for route in TABLE if route.body is not None]


def test_it_fits_a_phone_and_loads_nothing_from_elsewhere() -> None:
    assert 'name="viewport"' in PAGE
    assert set(re.findall(r"https?://[^'\"\s]+", PAGE)) == {BASE}  # replaced by its own address
    assert set(re.findall(r'(?:src|href)="([^"]+)"', PAGE)) == {
        "data:,", "docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "openapi.json",
    }  # fmt: skip


def test_its_library_is_small_and_comes_with_its_licence() -> None:
    sizes = [file.stat().st_size for file in FOLDER.iterdir()]
    assert sum(sizes) < 600_000
    assert "Apache License" in (FOLDER / "LICENSE").read_text()


@pytest.mark.parametrize(
    ("file", "kind"), [("swagger-ui.css", "text/css"), ("swagger-ui-bundle.js", "text/javascript")]
)
async def test_its_files_are_served(
    file: str, kind: str, serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(ExactEngine())
    async with http.get(f"{gateway.address}/docs/{file}") as answer:
        assert (answer.status, answer.content_type) == (200, kind)
        assert await answer.read() == gzip.decompress(asset(file))


def test_every_operation_has_a_curl_command_and_a_group() -> None:
    groups = {tag["name"] for tag in document()["tags"]}
    assert all("curl" in one["description"] and set(one["tags"]) <= groups for one in OPERATIONS)
    assert {tag for one in OPERATIONS for tag in one["tags"]} == groups


def test_tensors_have_schemas() -> None:
    infer = document()["paths"]["/v2/models/{model}/infer"]["post"]
    schema = infer["requestBody"]["content"]["application/json"]["schema"]
    found = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert set(found["properties"]) == {"inputs", "outputs", "id", "parameters"}
    answer = infer["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["$ref"].endswith("/InferenceResponse")


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: route.path)
def test_every_example_is_a_valid_request(route: Route) -> None:
    assert route.body is not None
    msgspec.convert(BODIES[route.path], route.body)
    sent = shlex.split(curl(route))
    assert json.loads(sent[-1]) == BODIES[route.path]
    assert sent[1].startswith(BASE + "/v") and "{" not in sent[1]


def test_the_example_of_tensors_can_be_decoded() -> None:
    body = json.dumps(BODIES["/v2/models/{model}/infer"]).encode()
    assert list(decode_request(body, None).inputs) == ["text"]
