"""A backend's chat completions, whole or in chunks, for the dialects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from headway.engines.event_stream import EventStreamParser
from headway.gateway.api.errors import ApiError


class Function(msgspec.Struct):
    """The function of a tool call; in a chunk, its new part."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    """One tool call; in a chunk, its new part."""

    index: int | None = None
    id: str | None = None
    function: Function = msgspec.field(default_factory=Function)


class Message(msgspec.Struct):
    """The assistant's message; in a chunk, its new part."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    """The model's reasoning, in llama.cpp, SGLang and older vLLM."""
    reasoning: str | None = None
    """The model's reasoning, in newer vLLM and OpenRouter."""
    tool_calls: list[ToolCall] | None = None

    @property
    def thought(self) -> str:
        """The model's reasoning; empty if there is none."""
        return self.reasoning_content or self.reasoning or ""

    @property
    def has_output(self) -> bool:
        """Whether it has any output. A delta with output is about one token."""
        return bool(self.content or self.refusal or self.thought or self.tool_calls)


class Logprobs(msgspec.Struct):
    """Log probabilities of the content's tokens."""

    content: list[msgspec.Raw] | None = None


class Choice(msgspec.Struct):
    """The answer, or in a chunk its new part."""

    message: Message = msgspec.field(default_factory=Message)
    delta: Message = msgspec.field(default_factory=Message)
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    """The stop string or token id that ended the answer; a field of vLLM."""
    logprobs: Logprobs | None = None


class PromptDetails(msgspec.Struct):
    """Details of the prompt tokens."""

    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    """Details of the output tokens."""

    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    """Prompt tokens and output tokens."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    headway: dict[str, msgspec.Raw] | None = None
    """`usage.headway`, unchanged."""

    @property
    def input_tokens(self) -> int:
        """Number of prompt tokens, cached ones included."""
        return self.prompt_tokens or 0

    @property
    def cached_tokens(self) -> int:
        """Number of prompt tokens that were in the engine's cache."""
        details = self.prompt_tokens_details
        return (details and details.cached_tokens) or 0

    @property
    def output_tokens(self) -> int:
        """Number of output tokens with reasoning; Headway's count if the backend reports none."""
        if self.completion_tokens is not None:
            return self.completion_tokens
        counted = (self.headway or {}).get("output_tokens")
        return 0 if counted is None else msgspec.json.decode(counted, type=int)

    @property
    def reasoning_tokens(self) -> int:
        """Number of output tokens that are reasoning."""
        details = self.completion_tokens_details
        return (details and details.reasoning_tokens) or 0


class Completion(msgspec.Struct):
    """A whole chat completion, or one chunk of it."""

    model: str = ""
    choices: list[Choice] = []
    usage: Usage | None = None


_decoder = msgspec.json.Decoder(Completion)


def completion_of(body: bytes) -> Completion:
    """The chat completion, or chunk, in `body`.

    Raises:
        ApiError: 502 if it is not one.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(
            502,
            f"The backend's answer is not a chat completion ({error}) and cannot be translated; "
            "see the backend's log.",
            type="server_error",
            code="bad_backend_answer",
        ) from None


def translated(events: bytes, take: Callable[[Completion, list[bytes]], None]) -> bytes:
    """Translate whole events to another API; keep comments and drop `[DONE]`.

    Args:
        events: chunks of a chat completion.
        take: appends the translation of one chunk.

    Raises:
        ApiError: 502 if an event is not a chat completion chunk.
    """
    out: list[bytes] = []
    for one in EventStreamParser().feed(events):
        if one.data is None:
            out.append(b": " + (one.comment or b"").replace(b"\n", b"\n: ") + b"\n\n")
        elif one.data.strip() != b"[DONE]":
            take(completion_of(one.data), out)
    return b"".join(out)


class ToolCalls:
    """Finds out which deltas of a stream begin a new tool call.

    OpenAI numbers tool calls. Some servers number all of them 0 and only change the id.
    """

    def __init__(self) -> None:
        self._index = -1
        self._id: str | None = None

    @property
    def any(self) -> bool:
        """Whether there was a tool call."""
        return self._id is not None

    def begins(self, call: ToolCall, is_open: bool) -> bool:
        """Whether `call` begins a new tool call instead of continuing the last one.

        Args:
            call: a part of a tool call.
            is_open: whether the last tool call is still open: nothing else has come since.

        Raises:
            ApiError: 502 if it continues a tool call that has ended.
        """
        index = self._index if call.index is None else call.index
        same = self._id is not None and index == self._index and call.id in (None, "", self._id)
        if same and (is_open or not call.function.arguments):
            return False
        if same or not call.function.name:
            raise ApiError(
                502,
                "The backend mixes the parts of a tool call with those of others or with text, "
                "which cannot be translated; turn parallel tool calls off.",
                type="server_error",
                code="bad_backend_answer",
            )
        self._index, self._id = max(index, 0), call.id or ""
        return True


def event(name: str, data: Any) -> bytes:
    """A server-sent event of type `name`."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))
