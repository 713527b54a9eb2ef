"""The OpenAPI document, generated from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from headway import __version__
from headway.gateway.api import views, wire
from headway.gateway.routes.examples import BASE, BODIES, curl, parameter
from headway.gateway.routes.route import Route
from headway.gateway.routes.table import TABLE

HEADERS = {
    "x-headway-tier": (
        {"enum": ["interactive", "standard", "batch"]},
        "How urgent the request is.",
    ),
    "x-headway-tenant": ({"type": "string"}, "The tenant; default: `user`, then the key's tenant."),
    "x-headway-program": ({"type": "string"}, "The workflow run or agent session it is part of."),
    "x-headway-step": ({"type": "string"}, "The name of the step in its run."),
    "x-headway-parents": (
        {"type": "string"},
        "Names of the steps that it waited for, with commas between.",
    ),
    "x-headway-remaining-ms": (
        {"type": "integer", "minimum": 0, "maximum": 999_999_999_999},
        "What comes after this answer on the longest path to the end of the run; 0: nothing.",
    ),
    "x-headway-deadline-ms": (
        {"type": "integer", "minimum": 1, "maximum": 999_999_999_999},
        "A request that cannot finish in this time is rejected (504, `deadline_exceeded`).",
    ),
    "x-headway-expected-tokens": (
        {"type": "integer", "minimum": 1, "maximum": 999_999_999_999},
        "The expected output tokens, if the client knows them.",
    ),
}
ERRORS = {
    "400": "Malformed or invalid; `param` names the field.",
    "401": "No key, or an unknown one.",
    "403": "Only an admin's key may do this.",
    "404": "No such model, or no such path.",
    "408": "The client took too long to send its request.",
    "409": "It is so already, or over, and cannot be changed.",
    "410": "An operator cancelled the request.",
    "413": "The body is too large.",
    "415": "The content encoding is neither gzip nor deflate.",
    "417": "`Expect` is not 100-continue.",
    "429": "The queue is full or the key over its rate; see `Retry-After`.",
    "500": "The model failed; the message says how.",
    "502": "The backend failed and the request could not be continued.",
    "503": "No backend can be reached, or Headway is shutting down.",
    "504": "The deadline cannot be met.",
    "507": "The gateway's disk is full.",
}


TAGS = {
    "Generate": "Text from models, in the APIs of OpenAI and Anthropic.",
    "Encode": "Models that answer a whole batch at once: embeddings, ranks, classes, predictions.",
    "Batches": "Files of requests that are answered within a day, in OpenAI's API.",
    "Open Inference Protocol": "`/v2`, for clients of Triton and KServe.",
    "Headway": "What it serves, and how it is.",
}
"""Groups of operations, in the order in which the page has them."""


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the gateway."""
    types: set[type] = {
        kind for route in TABLE for kind in (route.body, route.answer) if kind is not None
    }
    roots: list[type] = [
        *sorted(types, key=lambda kind: kind.__name__),
        wire.ErrorBody,
        wire.MessagesErrorBody,
        wire.Usage,
    ]
    schemas, components = msgspec.json.schema_components(
        roots, ref_template="#/components/schemas/{name}"
    )
    by_type: dict[type, dict[str, Any]] = dict(zip(roots, schemas, strict=True))
    paths: dict[str, Any] = {}
    for route in TABLE:
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headway",
            "version": __version__,
            "description": "An OpenAI-compatible gateway that decides which requests run or wait. "
            "Fields that are not listed are passed to the engine unchanged. Examples reach the "
            f"gateway at `{BASE}`; where it asks for keys, add "
            '`-H "Authorization: Bearer KEY"`.',
        },
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


_PARAMETER = re.compile(r"\{(\w+)(?::([^}]*))?\}")


def _operation(route: Route, by_type: Mapping[type, dict[str, Any]]) -> dict[str, Any]:
    """The OpenAPI operation of one route."""
    parameters: list[dict[str, Any]] = []
    for name, pattern in _PARAMETER.findall(route.path):
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if "|" in pattern:
            schema["enum"] = pattern.split("|")
        parameters.append(
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": schema,
                "example": parameter(route, name),
            }
        )
    if route.query is not None:
        parameters += [
            {"name": name, "in": "query", "schema": schema} for name, schema in route.query.items()
        ]
    if route.scheduled:
        parameters += [
            {"name": name, "in": "header", "schema": schema, "description": text}
            for name, (schema, text) in HEADERS.items()
        ]
    answer = _answer(route, by_type)
    content: dict[str, Any] = {route.content_type: {"schema": answer}}
    if route.streams:
        content["text/event-stream"] = {}
    error, statuses = by_type[wire.ErrorBody], ERRORS
    if route.path.startswith("/v2"):
        error = _OPEN_INFERENCE_ERROR
    elif route.path.startswith("/v1/messages"):
        error, statuses = by_type[wire.MessagesErrorBody], {**ERRORS, "529": ERRORS["503"]}
    failure = {"application/json": {"schema": error}}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "description": f"```sh\n{curl(route)}\n```",
        "tags": [_tag(route)],
        "responses": {
            "200": {"description": route.summary, "content": content},
            **{
                status: {"description": text, "content": failure}
                for status, text in statuses.items()
            },
        },
    }
    if route.answer is views.Health:
        operation["responses"]["503"] = {"description": "It cannot serve", "content": content}
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {
                    "schema": by_type[route.body],
                    "example": BODIES[route.path],
                }
            },
        }
    if route.form is not None:
        form = {"type": "object", "required": [*route.form], "properties": route.form}
        content = {"multipart/form-data": {"schema": form}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _tag(route: Route) -> str:
    if route.body is wire.RerankRequest:
        return "Encode"
    if route.path.startswith("/v2"):
        return "Open Inference Protocol"
    if route.path.startswith(("/v1/files", "/v1/batches")):
        return "Batches"
    if route.path.startswith("/v1/headway"):
        return "Headway"
    if route.body is None and not route.path.startswith("/v1/responses"):
        return "Headway"
    return "Generate" if route.path.startswith(GENERATE) else "Encode"


GENERATE = ("/v1/chat", "/v1/completions", "/v1/responses", "/v1/messages")


def _answer(route: Route, by_type: Mapping[type, dict[str, Any]]) -> dict[str, Any]:
    """The schema of a route's answer."""
    if route.answer is not None:
        return by_type[route.answer]
    if route.content_type != "application/json":
        return {"type": "string"}
    if route.streams:
        return {
            "type": "object",
            "required": ["object"],
            "properties": {"usage": by_type[wire.Usage]},
        }
    return {"type": "array"} if route.handler == "v2_index" else {"type": "object"}


_OPEN_INFERENCE_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
}
