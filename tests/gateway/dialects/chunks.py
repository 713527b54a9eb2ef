"""Chat completions as a backend answers them, whole and in chunks."""

from __future__ import annotations

import json
from typing import Any

USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 5,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 4},
    "headway": {"policy": "srpt"},
}


def completion(message: dict[str, Any], finish_reason: str = "stop", **choice: Any) -> bytes:
    message = {"role": "assistant", "content": None, **message}
    choices = [{"index": 0, "message": message, "finish_reason": finish_reason, **choice}]
    return json.dumps({"model": "m", "choices": choices, "usage": USAGE}).encode()


def chunks(*deltas: dict[str, Any], finish_reason: str = "stop", **choice: Any) -> list[bytes]:
    """The events of a whole stream: these deltas, the finish reason, usage and `[DONE]`."""
    first = {"delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    middle = [{"delta": delta, "finish_reason": None} for delta in deltas]
    last = {"delta": {}, "finish_reason": finish_reason, **choice}
    lines = [
        {"model": "m", "choices": [{"index": 0, **one}], "usage": None}
        for one in (first, *middle, last)
    ]
    lines.append({"model": "m", "choices": [], "usage": USAGE})
    return [b"data: " + json.dumps(line).encode() + b"\n\n" for line in lines] + [
        b"data: [DONE]\n\n"
    ]


def text(content: str) -> dict[str, Any]:
    return {"content": content}


def call(index: int, arguments: str, id: str | None = None, name: str | None = None) -> Any:
    """A delta with a part of one tool call."""
    function = {"arguments": arguments} | ({"name": name} if name else {})
    one = {"index": index, "function": function} | ({"id": id, "type": "function"} if id else {})
    return {"tool_calls": [one]}


def sent(events: bytes) -> list[dict[str, Any]]:
    """The data of server-sent events, each under its own event name."""
    found = []
    for block in events.decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        data = json.loads(lines["data"])
        assert data["type"] == lines["event"]
        found.append(data)
    return found
