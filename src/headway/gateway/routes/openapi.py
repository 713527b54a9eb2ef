"""The OpenAPI document, generated from the table of routes, and a page that shows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from headway import __version__
from headway.gateway.api import wire
from headway.gateway.routes.table import TABLE, Route

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
    "404": "No such model, or no such path.",
    "408": "The client took too long to send its request.",
    "413": "The body is too large.",
    "415": "The content encoding is neither gzip nor deflate.",
    "417": "`Expect` is not 100-continue.",
    "429": "The queue is full or the key over its rate; see `Retry-After`.",
    "500": "The model failed; the message says how.",
    "502": "The backend failed and the request could not be continued.",
    "503": "No backend can be reached, or Headway is shutting down.",
    "504": "The deadline cannot be met.",
}


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
            "Fields that are not listed are passed to the engine unchanged.",
        },
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
        parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
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
        "responses": {
            "200": {"description": route.summary, "content": content},
            **{
                status: {"description": text, "content": failure}
                for status, text in statuses.items()
            },
        },
    }
    if route.answer is wire.Health:
        operation["responses"]["503"] = {"description": "It cannot serve", "content": content}
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": by_type[route.body]}},
        }
    return operation


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


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Headway API</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 14px/1.4 ui-monospace, monospace } summary { cursor: pointer; padding: .3rem 0 }
pre { background: #f4f4f4; padding: .8rem; overflow: auto } b { display: inline-block; width: 4rem }
</style>
<h1>Headway API</h1>
<p>Generated from <a href="openapi.json">openapi.json</a>. Point any OpenAI client at
<code id="base"></code>.</p><main></main>
<script>
document.querySelector('#base').textContent = location.origin + '/v1'
fetch('openapi.json').then(answer => answer.json()).then(api => {
  for (const [path, methods] of Object.entries(api.paths))
    for (const [method, operation] of Object.entries(methods)) {
      const details = document.createElement('details')
      const summary = document.createElement('summary')
      const name = document.createElement('b')
      name.textContent = method.toUpperCase()
      summary.append(name, path + ' \\u2013 ' + operation.summary)
      const text = document.createElement('pre')
      const body = operation.requestBody?.content['application/json'].schema.$ref?.split('/').pop()
      const shown = body ? { ...operation, body: api.components.schemas[body] } : operation
      text.textContent = JSON.stringify(shown, null, 2)
      details.append(summary, text)
      document.querySelector('main').append(details)
    }
})
</script></html>
"""
