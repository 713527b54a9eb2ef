"""The OpenAPI document, generated from the wire types, and a page that shows it."""

from __future__ import annotations

from typing import Any

import msgspec

from headway import __version__
from headway.gateway import wire

BODIES: dict[str, tuple[type[msgspec.Struct], str]] = {
    "/v1/chat/completions": (wire.ChatRequest, "Chat completion"),
    "/v1/completions": (wire.CompletionRequest, "Text completion"),
    "/v1/embeddings": (wire.EmbeddingRequest, "Embeddings"),
    "/v1/rerank": (wire.RerankRequest, "Documents by how well they fit a query"),
    "/v1/classify": (wire.ClassifyRequest, "The class of each text"),
    "/v1/models/{model}:predict": (wire.PredictRequest, "Whatever a model makes of JSON"),
}
GENERATING = ("/v1/chat/completions", "/v1/completions")
"""Those that stream, and tell their usage."""
VIEWS: dict[str, tuple[type[msgspec.Struct], str]] = {
    "/v1/models": (wire.ModelList, "The models that can be asked for"),
    "/v1/headway/queue": (wire.QueueView, "Who runs, who waits, and why"),
    "/healthz": (wire.Health, "Whether the process lives"),
    "/readyz": (wire.Health, "Whether some backend can serve"),
}
HEADERS = {
    "x-headway-tier": ({"enum": ["interactive", "standard", "batch"]}, "Who goes first."),
    "x-headway-tenant": ({"type": "string"}, "Whose share it is; else `user`, else the key."),
    "x-headway-program": ({"type": "string"}, "The workflow run or agent session it is part of."),
    "x-headway-deadline-ms": (
        {"type": "integer", "minimum": 1, "maximum": 999_999_999_999},
        "It is refused at once (504, `deadline_exceeded`) when it cannot be done in this time.",
    ),
    "x-headway-expected-tokens": (
        {"type": "integer", "minimum": 1, "maximum": 999_999_999_999},
        "Output tokens, for a caller who knows.",
    ),
}
ERRORS = {
    "400": "Malformed or wrong; `param` names the field.",
    "401": "No key, or an unknown one.",
    "404": "No such model.",
    "408": "The client took too long to send its request.",
    "413": "The body is too large.",
    "415": "The content encoding is neither gzip nor deflate.",
    "429": "The queue is full or the key over its rate; see `Retry-After`.",
    "500": "The model failed; the message says how.",
    "502": "The backend broke and the request could not be continued.",
    "503": "No backend can be reached, or Headway is shutting down.",
    "504": "The deadline cannot be met.",
}


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the gateway."""
    roots: list[type[msgspec.Struct]] = [body for body, _ in BODIES.values()]
    roots += [view for view, _ in VIEWS.values()]
    roots += [wire.ErrorBody, wire.Usage, wire.Model]
    schemas, components = msgspec.json.schema_components(
        roots, ref_template="#/components/schemas/{name}"
    )
    by_type = dict(zip(roots, schemas, strict=True))
    error = {"application/json": {"schema": by_type[wire.ErrorBody]}}
    paths: dict[str, Any] = {}
    for path, (body, summary) in BODIES.items():
        named = path.endswith(":predict")
        answer: dict[str, Any] = {
            "type": "object",
            "required": ["predictions" if named else "object"],
        }
        content: dict[str, Any] = {"application/json": {"schema": answer}}
        if path in GENERATING:
            answer["properties"] = {"usage": by_type[wire.Usage]}
            content["text/event-stream"] = {}
        paths[path] = {
            "post": {
                "summary": summary,
                "parameters": [
                    *([_MODEL] if named else []),
                    *(
                        {"name": name, "in": "header", "schema": schema, "description": text}
                        for name, (schema, text) in HEADERS.items()
                    ),
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": by_type[body]}},
                },
                "responses": {
                    "200": {"description": _ANSWERS[path in GENERATING], "content": content},
                    **{
                        status: {"description": text, "content": error}
                        for status, text in ERRORS.items()
                    },
                },
            }
        }
    for path, (view, summary) in VIEWS.items():
        paths[path] = {"get": _view(summary, by_type[view], error)}
    paths["/readyz"]["get"]["responses"]["503"] = {
        "description": "No backend can serve",
        "content": {"application/json": {"schema": by_type[wire.Health]}},
    }
    paths["/v1/headway/queue"]["get"]["parameters"] = [
        {
            "name": "limit",
            "in": "query",
            "description": "Requests to list.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 100_000},
        }
    ]
    one = _view("One model", by_type[wire.Model], error)
    one["parameters"] = [_MODEL]
    one["responses"]["404"] = {"description": "No such model.", "content": error}
    paths["/v1/models/{model}"] = {"get": one}
    paths["/metrics"] = {
        "get": {
            "summary": "Prometheus metrics",
            "responses": {
                "200": {
                    "description": "Text exposition",
                    "content": {"text/plain": {"schema": {"type": "string"}}},
                },
                "401": {"description": ERRORS["401"], "content": error},
            },
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headway",
            "version": __version__,
            "description": "An OpenAI-compatible gateway that decides who runs and who waits. "
            "Fields that are not listed are passed to the engine untouched.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


_ANSWERS = ("The object", "OpenAI's object, or its events")
_MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}


def _view(summary: str, schema: dict[str, Any], error: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": summary,
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": schema}}},
            "400": {"description": ERRORS["400"], "content": error},
            "401": {"description": ERRORS["401"], "content": error},
        },
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
