"""Whole answers and errors of Anthropic's Messages API."""

from __future__ import annotations

from os import urandom
from typing import Any

import msgspec

from headway.gateway.api.errors import ApiError
from headway.gateway.dialects.chat import Choice, Completion, Usage
from headway.gateway.dialects.messages_request import MessagesRequest

_STOP_REASONS = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def whole(request: MessagesRequest, completion: Completion) -> dict[str, Any]:
    """The message that answers `request`."""
    choice = completion.choices[0] if completion.choices else Choice()
    answered = choice.message
    content: list[dict[str, Any]] = []
    if answered.thought and request.shows_thinking:
        content.append(thinking_block(answered.thought))
    text = answered.content or answered.refusal
    if text:
        content.append({"type": "text", "text": text})
    calls = answered.tool_calls or []
    for call in calls:
        block = tool_use_block(call.id, call.function.name or "")
        content.append({**block, "input": _arguments(call.function.arguments)})
    message = opening(request, completion.model)
    stop_reason, stop_sequence = ending(
        request, choice, called_tools=bool(calls), refused=bool(answered.refusal)
    )
    return {
        **message,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "usage": usage(completion.usage or Usage()),
    }


def opening(request: MessagesRequest, model: str) -> dict[str, Any]:
    """A message without content yet."""
    return {
        "id": f"msg_{urandom(12).hex()}",
        "type": "message",
        "role": "assistant",
        "model": model or request.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def ending(
    request: MessagesRequest, choice: Choice, *, called_tools: bool, refused: bool
) -> tuple[str, str | None]:
    """Why the message ended, and the stop sequence that ended it, if known.

    Args:
        request: the request that the message answers.
        choice: the choice that has the `finish_reason`.
        called_tools: whether the message has tool calls.
        refused: whether the message has a refusal.
    """
    stopped_by = choice.stop_reason
    reason = _STOP_REASONS.get(choice.finish_reason or "stop", "end_turn")
    if isinstance(stopped_by, str) and stopped_by in (request.stop_sequences or ()):
        return "stop_sequence", stopped_by
    if called_tools and reason == "end_turn":
        return "tool_use", None
    if refused and reason == "end_turn":
        return "refusal", None
    return reason, None


def usage(counted: Usage) -> dict[str, Any]:
    """Usage as Anthropic counts it: `input_tokens` excludes cached tokens."""
    cached = min(counted.cached_tokens, counted.input_tokens)
    tokens: dict[str, Any] = {
        "input_tokens": counted.input_tokens - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": counted.output_tokens,
    }
    if counted.headway is not None:
        tokens["headway"] = counted.headway
    return tokens


def thinking_block(text: str) -> dict[str, Any]:
    """A block of reasoning, unsigned: only Anthropic can sign it."""
    return {"type": "thinking", "thinking": text, "signature": ""}


def tool_use_block(call_id: str | None, name: str) -> dict[str, Any]:
    """A tool call whose arguments are not known yet."""
    return {
        "type": "tool_use",
        "id": call_id or f"toolu_{urandom(12).hex()}",
        "name": name,
        "input": {},
    }


def status_of(error: ApiError) -> int:
    """The HTTP status of `error` in Anthropic's API, where 529 means overloaded."""
    return 529 if error.status == 503 or error.code == "queue_full" else error.status


def error_body(error: ApiError) -> dict[str, Any]:
    """`error` in Anthropic's format."""
    status = status_of(error)
    kind = _ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    message = error.message
    if error.code == "context_length_exceeded":
        message = f"prompt is too long: {message}"  # clients look for this to shorten it
    detail: dict[str, Any] = {"type": kind, "message": message}
    if error.code is not None:
        detail["details"] = {"error_code": error.code, "param": error.param}
    return {"type": "error", "error": detail}


def _arguments(text: str | None) -> Any:
    """The arguments of a tool call. Raises ApiError 502 if they are not a JSON object."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise ApiError(
            502,
            "The model called a tool with arguments that are not a JSON object; try again.",
            type="server_error",
            code="bad_backend_answer",
        ) from None
