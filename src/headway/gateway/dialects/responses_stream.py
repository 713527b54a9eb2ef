"""Event streams of OpenAI's Responses API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from headway.gateway.api.errors import ApiError
from headway.gateway.dialects.chat import Completion, ToolCall, ToolCalls, Usage, event, translated
from headway.gateway.dialects.responses_answer import (
    ItemStatus,
    ResponseObject,
    call_item,
    item_id,
    text_item,
    text_part,
    tokens_of,
)

_ITEM_PREFIX = {"message": "msg", "reasoning": "rs"}
_encode = msgspec.json.encode


class ResponseEvents:
    """The events of one response: its items one after another, each from `added` to `done`.

    Args:
        response: the streamed response.
        ended: called with the response at its end.
    """

    def __init__(self, response: ResponseObject, ended: Callable[[dict[str, Any]], object]) -> None:
        self._response = response
        self._ended = ended
        self._number = 0
        """The sequence number of the next event."""
        self._kind: str | None = None
        """The type of the open item."""
        self._id = ""
        """The id of the open item."""
        self._parts: list[dict[str, Any]] = []
        """The complete parts of the open item."""
        self._part: str | None = None
        """The type of the open part."""
        self._called: dict[str, Any] = {}
        """The open item, if it is a function call."""
        self._texts: list[str] = []
        """The text so far of the open part, or of the arguments of the open function call."""
        self._logprobs: list[Raw] = []
        self._calls = ToolCalls()
        self._deltas = 0
        """Number of deltas with output, about one token each: for backends that send no usage."""

    def feed(self, events: bytes) -> bytes:
        """Translate these chunks. Raises ApiError 502 if one is not a chunk."""
        return translated(events, self._take)

    def end(self) -> bytes:
        """The last events."""
        out: list[bytes] = []
        self._begin(out)
        self._close_item(self._response.last_status, out)
        if self._response.usage is None:
            self._response.usage = Usage(completion_tokens=self._deltas)
        response = self._response.ended()
        self._ended(response)
        self._say(f"response.{response['status']}", out, response=response)
        return b"".join(out)

    def failure(self, error: ApiError) -> bytes:
        """The events that end a failed stream: `error`, and the failed response."""
        out: list[bytes] = []
        self._begin(out)
        self._say("error", out, code=error.code, message=error.message, param=error.param)
        response = self._response.failed(error)
        self._ended(response)
        self._say("response.failed", out, response=response)
        return b"".join(out)

    # ---- chunks -----------------------------------------------------------------------------

    def _take(self, chunk: Completion, out: list[bytes]) -> None:
        response = self._response
        response.model = chunk.model or response.model
        response.usage = chunk.usage or response.usage
        self._begin(out)
        if not chunk.choices:
            return
        choice = chunk.choices[0]
        delta = choice.delta
        self._deltas += delta.has_output
        if delta.thought:
            self._write("reasoning", "reasoning_text", delta.thought, [], out)
        if delta.content:
            logprobs = tokens_of(choice.logprobs)
            self._write("message", "output_text", delta.content, logprobs, out)
        if delta.refusal:
            self._write("message", "refusal", delta.refusal, [], out)
        for call in delta.tool_calls or ():
            self._call(call, out)
        response.finish_reason = choice.finish_reason or response.finish_reason

    def _begin(self, out: list[bytes]) -> None:
        if self._number == 0:
            response = self._response.running()
            self._say("response.created", out, response=response)
            self._say("response.in_progress", out, response=response)

    def _write(
        self, kind: str, part: str, text: str, logprobs: list[Raw], out: list[bytes]
    ) -> None:
        """Append text to a part of type `part` of an item of type `kind`; open both if needed."""
        if self._kind != kind:
            self._close_item("completed", out)
            self._kind, self._id = kind, item_id(_ITEM_PREFIX[kind])
            self._add_item(text_item(kind, self._id, [], "in_progress"), out)
        if self._part != part:
            self._close_part(out)
            self._part = part
            self._of_part("response.content_part.added", out, part=text_part(part, ""))
        self._texts.append(text)
        self._logprobs += logprobs
        also = {"logprobs": logprobs} if part == "output_text" else {}
        self._of_part(f"response.{part}.delta", out, delta=text, **also)

    def _call(self, call: ToolCall, out: list[bytes]) -> None:
        if self._calls.begins(call, self._kind == "function_call"):
            self._close_item("completed", out)
            self._kind, self._id = "function_call", item_id("fc")
            self._called = call_item(self._id, call.id, call.function.name or "")
            self._add_item(self._called, out)
        if call.function.arguments:
            self._texts.append(call.function.arguments)
            delta = call.function.arguments
            self._of_item("response.function_call_arguments.delta", out, delta=delta)

    # ---- items and parts --------------------------------------------------------------------

    def _add_item(self, item: dict[str, Any], out: list[bytes]) -> None:
        index = len(self._response.output)
        self._say("response.output_item.added", out, output_index=index, item=item)

    def _close_part(self, out: list[bytes]) -> None:
        if self._part is None:
            return
        part = text_part(self._part, "".join(self._texts), self._logprobs)
        done = {name: part[name] for name in ("text", "refusal", "logprobs") if name in part}
        self._of_part(f"response.{self._part}.done", out, **done)
        self._of_part("response.content_part.done", out, part=part)
        self._parts.append(part)
        self._part = None
        self._texts, self._logprobs = [], []

    def _close_item(self, status: ItemStatus, out: list[bytes]) -> None:
        if self._kind is None:
            return
        if self._kind == "function_call":
            arguments = "".join(self._texts) or "{}"
            self._of_item("response.function_call_arguments.done", out, arguments=arguments)
            item = {**self._called, "arguments": arguments, "status": status}
            self._texts = []
        else:
            self._close_part(out)
            item = text_item(self._kind, self._id, self._parts, status)
            self._parts = []
        index = len(self._response.output)
        self._say("response.output_item.done", out, output_index=index, item=item)
        self._response.output.append(item)
        self._kind = None

    # ---- events -----------------------------------------------------------------------------

    def _of_part(self, kind: str, out: list[bytes], **fields: Any) -> None:
        self._of_item(kind, out, content_index=len(self._parts), **fields)

    def _of_item(self, kind: str, out: list[bytes], **fields: Any) -> None:
        index = len(self._response.output)
        self._say(kind, out, item_id=self._id, output_index=index, **fields)

    def _say(self, kind: str, out: list[bytes], **fields: Any) -> None:
        out.append(event(kind, {"type": kind, "sequence_number": self._number, **fields}))
        self._number += 1
