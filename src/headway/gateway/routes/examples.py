"""An example of each request: as JSON to send, and as a line for curl."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from headway.gateway.routes.route import Route

BASE = "http://127.0.0.1:8080"
"""Where examples reach the gateway; the page writes its own address there."""

_HELLO = [{"role": "user", "content": "Say hello in five words."}]
_ENCODER = "all-MiniLM-L6-v2"
_RANKED = {
    "model": _ENCODER,
    "query": "What barks?",
    "documents": ["A dog.", "A cat."],
    "top_n": 1,
}
_TENSORS = {
    "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a text"]}],
}

BODIES: Mapping[str, Mapping[str, Any]] = {
    "/v1/chat/completions": {"model": "default", "messages": _HELLO, "max_tokens": 32},
    "/v1/completions": {"model": "default", "prompt": "Once upon a time", "max_tokens": 32},
    "/v1/responses": {"model": "default", "input": "Say hello.", "max_output_tokens": 32},
    "/v1/responses/input_tokens": {"model": "default", "input": "Say hello."},
    "/v1/messages": {"model": "default", "messages": _HELLO, "max_tokens": 32},
    "/v1/messages/count_tokens": {"model": "default", "messages": _HELLO},
    "/v1/embeddings": {"model": _ENCODER, "input": ["a text", "another"]},
    "/v1/rerank": _RANKED,
    "/v2/rerank": _RANKED,
    "/v1/classify": {"model": _ENCODER, "input": ["a text"]},
    "/v1/models/{model:.+}:predict": {"instances": ["a text"]},
    "/v1/batches": {
        "input_file_id": "file-123",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    },
    "/v1/headway/predict": {"model": "default", "messages": _HELLO, "max_tokens": 32},
    "/v1/headway/workers/{worker}/runs/{run}/answers": {"path": "ask", "accept": True},
    "/v1/headway/policy": {"policy": "srpt"},
    "/v1/headway/requests/{request_id}/tier": {"tier": "interactive"},
    "/v1/headway/prompts/{prompt}/versions/{number}": {"text": "Greet me."},
    "/v1/headway/prompts/{prompt}/cases": {
        "text": "cases: [{name: hello, expect: {contains: hello}}]"
    },
    "/v1/headway/prompts/{prompt}/aliases/{alias}": {"version": 2, "instead_of": 1},
    "/v1/headway/prompts/{prompt}/trials": {"versions": ["production", 2]},
    "/v2/models/{model}/infer": _TENSORS,
    "/v2/models/{model}/versions/{version}/infer": _TENSORS,
}
"""By path, of all routes that take a typed body."""

PARAMETERS = {
    "model": "default",
    "version": "1",
    "verb": "load",
    "response_id": "resp_123",
    "file_id": "file-123",
    "batch_id": "batch_123",
    "request_id": "req-123",
    "backend": "gpu-1",
    "prompt": "name-capital",
    "number": "2",
    "alias": "production",
    "worker": "worker",
    "run": "mb1k2x3y-0a1b2c",
    "limit": 20,
    "order": "desc",
}
"""By name; a model below a path that only encoders have is an encoder."""


def parameter(route: Route, name: str) -> Any:
    """The example of a parameter of `route`; None: there is none."""
    if name == "model" and (route.path.startswith("/v2") or ":predict" in route.path):
        return _ENCODER
    return PARAMETERS.get(name)


def curl(route: Route) -> str:
    """The command that sends the example of `route`."""
    path = re.sub(r"\{(\w+)[^}]*\}", lambda found: str(parameter(route, found[1])), route.path)
    words = ["curl", BASE + path]
    body = BODIES.get(route.path) if route.method == "POST" else None
    if route.form is not None:
        words += ["-F purpose=batch", "-F file=@requests.jsonl"]
    elif body is not None:
        text = json.dumps(body).replace("'", "'\\''")
        words += ["-H 'content-type: application/json'", f"-d '{text}'"]
    elif route.method != "GET":
        words.insert(1, f"-X {route.method}")
    return " \\\n  ".join([" ".join(words[:2]), *words[2:]]) if body else " ".join(words)
