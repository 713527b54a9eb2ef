"""Event streams of Anthropic's Messages API."""

from __future__ import annotations

from typing import Any

import msgspec

from headway.gateway.api.errors import ApiError
from headway.gateway.dialects.chat import (
    Choice,
    Completion,
    ToolCall,
    ToolCalls,
    Usage,
    event,
    translated,
)
from headway.gateway.dialects.messages_answer import (
    ending,
    error_body,
    opening,
    thinking_block,
    tool_use_block,
    usage,
)
from headway.gateway.dialects.messages_request import MessagesRequest

_PING = event("ping", {"type": "ping"})
_encode = msgspec.json.encode


class MessageEvents:
    """The events of one message: its blocks one after another, each from start to stop."""

    def __init__(self, request: MessagesRequest) -> None:
        self._request = request
        self._began = False
        self._open: str | None = None
        """The type of the open block."""
        self._index = -1
        """The index of the latest block."""
        self._calls = ToolCalls()
        self._refused = False
        self._last = Choice()
        """The last choice with a `finish_reason`."""
        self._usage: Usage | None = None
        self._deltas = 0
        """Number of deltas with output, about one token each: for backends that send no usage."""

    def feed(self, events: bytes) -> bytes:
        """Translate these chunks. Raises ApiError 502 if one is not a chunk."""
        return translated(events, self._take)

    def end(self) -> bytes:
        """The last events."""
        out: list[bytes] = []
        self._begin("", out)
        self._close(out)
        reason, sequence = ending(
            self._request, self._last, called_tools=self._calls.any, refused=self._refused
        )
        out.append(
            event(
                "message_delta",
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": reason, "stop_sequence": sequence},
                    "usage": usage(self._usage or Usage(completion_tokens=self._deltas)),
                },
            )
        )
        out.append(event("message_stop", {"type": "message_stop"}))
        return b"".join(out)

    def failure(self, error: ApiError) -> bytes:
        """The event that ends a broken stream."""
        return event("error", error_body(error))

    def _take(self, chunk: Completion, out: list[bytes]) -> None:
        if chunk.usage is not None:
            self._usage = chunk.usage
        self._begin(chunk.model, out)
        if not chunk.choices:
            return
        choice = chunk.choices[0]
        delta = choice.delta
        self._deltas += delta.has_output
        if delta.thought and self._request.shows_thinking:
            self._need("thinking", out)
            out.append(self._delta(b"thinking_delta", b"thinking", delta.thought))
        text = delta.content or delta.refusal
        self._refused = self._refused or bool(delta.refusal)
        if text:
            self._need("text", out)
            out.append(self._delta(b"text_delta", b"text", text))
        for call in delta.tool_calls or ():
            self._call(call, out)
        if choice.finish_reason is not None:
            self._last = choice

    def _begin(self, model: str, out: list[bytes]) -> None:
        if self._began:
            return
        self._began = True
        # Backends report usage at the end of the stream: `message_delta` corrects this.
        message = {**opening(self._request, model), "usage": usage(self._usage or Usage())}
        out.append(event("message_start", {"type": "message_start", "message": message}))
        out.append(_PING)

    def _need(self, kind: str, out: list[bytes]) -> None:
        """Open a block of type `kind` (text or reasoning), unless one is open."""
        if self._open != kind:
            block = thinking_block("") if kind == "thinking" else {"type": "text", "text": ""}
            self._start(kind, block, out)

    def _call(self, call: ToolCall, out: list[bytes]) -> None:
        if self._calls.begins(call, self._open == "tool_use"):
            self._start("tool_use", tool_use_block(call.id, call.function.name or ""), out)
        if call.function.arguments:
            arguments = call.function.arguments
            out.append(self._delta(b"input_json_delta", b"partial_json", arguments))

    def _start(self, kind: str, block: dict[str, Any], out: list[bytes]) -> None:
        self._close(out)
        self._open = kind
        self._index += 1
        out.append(
            event(
                "content_block_start",
                {"type": "content_block_start", "index": self._index, "content_block": block},
            )
        )

    def _close(self, out: list[bytes]) -> None:
        if self._open is not None:
            self._open = None
            stop = {"type": "content_block_stop", "index": self._index}
            out.append(event("content_block_stop", stop))

    def _delta(self, kind: bytes, field: bytes, text: str) -> bytes:
        return (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"%b","%b":%b}}\n\n' % (self._index, kind, field, _encode(text))
        )
