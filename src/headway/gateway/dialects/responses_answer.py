"""Whole answers of OpenAI's Responses API."""

from __future__ import annotations

import time
from collections.abc import Sequence
from os import urandom
from typing import Any, Literal

from msgspec import Raw

from headway.gateway.api.errors import ApiError
from headway.gateway.dialects.chat import Choice, Completion, Logprobs, Usage
from headway.gateway.dialects.responses_request import ResponsesRequest

ItemStatus = Literal["in_progress", "completed", "incomplete"]

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ECHOED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": None,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "user": None,
}
"""Fields of the request that the response repeats, with their defaults."""


class ResponseObject:
    """The response object of one request, from start to end.

    Args:
        request: the request that it answers.
        fields: the fields of the request.
        kept: whether clients can retrieve it later.
    """

    def __init__(self, request: ResponsesRequest, fields: dict[str, Any], kept: bool) -> None:
        self.id = f"resp_{urandom(24).hex()}"
        self.output: list[dict[str, Any]] = []
        """Complete items."""
        self.model = request.model
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        given = {name: value for name, value in fields.items() if value is not None}
        self._fields: dict[str, Any] = {
            "id": self.id,
            "object": "response",
            "created_at": int(time.time()),
            "background": False,
            **{name: given.get(name, default) for name, default in _ECHOED.items()},
            "service_tier": request.service_tier or "auto",
            "store": kept,
            "text": {"format": {"type": "text"}} | given.get("text", {}),
            "truncation": "disabled",
        }

    def running(self) -> dict[str, Any]:
        """The object while the model answers."""
        return self._state("in_progress")

    def ended(self) -> dict[str, Any]:
        """The object at the end: `completed`, or `incomplete` with the reason."""
        reason = _INCOMPLETE.get(self.finish_reason or "stop")
        if reason is None:
            return self._state("completed", completed_at=int(time.time()))
        return self._state("incomplete", incomplete_details={"reason": reason})

    @property
    def last_status(self) -> ItemStatus:
        """The status of the last item."""
        return "incomplete" if self.finish_reason in _INCOMPLETE else "completed"

    def failed(self, error: ApiError) -> dict[str, Any]:
        """The object after `error`."""
        code = "rate_limit_exceeded" if error.status == 429 else "server_error"
        return self._state("failed", error={"code": code, "message": error.message})

    def _state(
        self,
        status: str,
        *,
        completed_at: int | None = None,
        error: dict[str, Any] | None = None,
        incomplete_details: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        return {
            **self._fields,
            "model": self.model,
            "status": status,
            "completed_at": completed_at,
            "error": error,
            "incomplete_details": incomplete_details,
            "output": list(self.output),
            "usage": None if self.usage is None else _usage(self.usage),
        }


def fill(response: ResponseObject, completion: Completion) -> None:
    """Fill `response` from a whole chat completion."""
    choice = completion.choices[0] if completion.choices else Choice()
    response.model = completion.model or response.model
    response.usage = completion.usage or Usage()
    response.finish_reason = choice.finish_reason
    message = choice.message
    if message.thought:
        thought = text_part("reasoning_text", message.thought)
        response.output.append(text_item("reasoning", item_id("rs"), [thought], "completed"))
    parts: list[dict[str, Any]] = []
    if message.content:
        parts.append(text_part("output_text", message.content, tokens_of(choice.logprobs)))
    if message.refusal:
        parts.append(text_part("refusal", message.refusal))
    if parts:
        item = text_item("message", item_id("msg"), parts, response.last_status)
        response.output.append(item)
    for call in message.tool_calls or ():
        called = call_item(item_id("fc"), call.id, call.function.name or "")
        called |= {"arguments": call.function.arguments or "{}", "status": response.last_status}
        response.output.append(called)


def item_id(prefix: str) -> str:
    """A new id for an item; `prefix` is `msg`, `rs`, `fc` or `call`."""
    return f"{prefix}_{urandom(20).hex()}"


def text_part(kind: str, text: str, logprobs: Sequence[Raw] = ()) -> dict[str, Any]:
    """A part of a message (`output_text`, `refusal`) or of reasoning (`reasoning_text`)."""
    if kind == "output_text":
        return {
            "type": kind,
            "text": text,
            "annotations": [],
            "logprobs": list(logprobs),
        }
    return {"type": kind, ("refusal" if kind == "refusal" else "text"): text}


def text_item(
    kind: str, id: str, parts: Sequence[dict[str, Any]], status: ItemStatus
) -> dict[str, Any]:
    """A `message`, or the model's `reasoning`."""
    item: dict[str, Any] = {"type": kind, "id": id, "status": status, "content": list(parts)}
    if kind == "message":
        return {**item, "role": "assistant"}
    return {**item, "summary": []}


def call_item(id: str, call_id: str | None, name: str) -> dict[str, Any]:
    """A function call whose arguments are not known yet."""
    return {
        "type": "function_call",
        "id": id,
        "call_id": call_id or item_id("call"),
        "name": name,
        "arguments": "",
        "status": "in_progress",
    }


def tokens_of(logprobs: Logprobs | None) -> list[Raw]:
    """The tokens' log probabilities, in the format that both APIs share."""
    return (logprobs and logprobs.content) or []


def _usage(counted: Usage) -> dict[str, Any]:
    tokens: dict[str, Any] = {
        "input_tokens": counted.input_tokens,
        "input_tokens_details": {"cached_tokens": counted.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": counted.output_tokens,
        "output_tokens_details": {"reasoning_tokens": counted.reasoning_tokens},
        "total_tokens": counted.input_tokens + counted.output_tokens,
    }
    if counted.headway is not None:
        tokens["headway"] = counted.headway
    return tokens
