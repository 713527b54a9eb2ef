"""The published OpenAPI document is true."""

from __future__ import annotations

import aiohttp
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.gateway.conftest import Serve
from tests.gateway.doubles import ExactEngine

from headway.gateway.routes.openapi import document

schema = schemathesis.openapi.from_dict(document())
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@schema.parametrize()
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_schemathesis(case: schemathesis.Case, address: str) -> None:
    response = case.call(base_url=address)
    case.validate_response(response, checks=CHECKS)
    if response.status_code >= 500:  # a missed deadline is the only one that a client can cause
        assert response.status_code == 504


async def test_it_is_published_with_a_page(serve: Serve, http: aiohttp.ClientSession) -> None:
    gateway = await serve(ExactEngine())
    async with http.get(gateway.address + "/openapi.json") as answer:
        assert (await answer.json())["info"]["title"] == "Headway"
    async with http.get(gateway.address + "/docs") as answer:
        assert answer.content_type == "text/html"
        assert "openapi.json" in await answer.text()
