"""A backend's chat completion, whole and in chunks, as the dialects read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from headway.engines.event_stream import EventStreamParser
from headway.gateway.api.errors import ApiError


class Function(msgspec.Struct):
    """The function of a tool call; in a chunk, the part of it that is new."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    """One tool call; in a chunk, the part of it that is new."""

    index: int | None = None
    id: str | None = None
    function: Function = msgspec.field(default_factory=Function)


class Message(msgspec.Struct):
    """The assistant's message; in a chunk, the part of it that is new."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    """What llama.cpp, SGLang and older vLLM call the model's reasoning."""
    reasoning: str | None = None
    """What newer vLLM and OpenRouter call it."""
    tool_calls: list[ToolCall] | None = None

    @property
    def thought(self) -> str:
        """The model's reasoning, empty where there is none."""
        return self.reasoning_content or self.reasoning or ""

    @property
    def says_something(self) -> bool:
        """Whether there is any output in it: about one token, if it is a delta."""
        return bool(self.content or self.refusal or self.thought or self.tool_calls)


class Logprobs(msgspec.Struct):
    """Log probabilities of the content's tokens."""

    content: list[msgspec.Raw] | None = None


class Choice(msgspec.Struct):
    """The answer, or the part of it that is new."""

    message: Message = msgspec.field(default_factory=Message)
    delta: Message = msgspec.field(default_factory=Message)
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    """vLLM's word for the stop string or token id that ended the answer."""
    logprobs: Logprobs | None = None


class PromptDetails(msgspec.Struct):
    """Of the prompt's tokens."""

    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    """Of the answer's tokens."""

    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    """Tokens of the prompt and of the answer."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    headway: dict[str, msgspec.Raw] | None = None
    """How it was scheduled; untouched."""

    @property
    def input_tokens(self) -> int:
        """Of the whole prompt."""
        return self.prompt_tokens or 0

    @property
    def cached_tokens(self) -> int:
        """Of the prompt, those that were in the engine's cache."""
        details = self.prompt_tokens_details
        return (details and details.cached_tokens) or 0

    @property
    def output_tokens(self) -> int:
        """Of the answer, reasoning included; as Headway counted where the backend does not."""
        if self.completion_tokens is not None:
            return self.completion_tokens
        counted = (self.headway or {}).get("output_tokens")
        return 0 if counted is None else msgspec.json.decode(counted, type=int)

    @property
    def reasoning_tokens(self) -> int:
        """Of the answer, those that are reasoning."""
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
        ApiError: 502 where it is none.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(
            502,
            f"The backend's answer is no chat completion ({error}) and cannot be translated; "
            "look at the backend's log.",
            type="server_error",
            code="bad_backend_answer",
        ) from None


def translated(events: bytes, take: Callable[[Completion, list[bytes]], None]) -> bytes:
    """Whole events in another API's words: comments as they are, `[DONE]` left out.

    Args:
        events: chunks of a chat completion.
        take: appends the events that stand for one chunk.

    Raises:
        ApiError: 502 where an event is no chat completion chunk.
    """
    out: list[bytes] = []
    for one in EventStreamParser().feed(events):
        if one.data is None:
            out.append(b": " + (one.comment or b"").replace(b"\n", b"\n: ") + b"\n\n")
        elif one.data.strip() != b"[DONE]":
            take(completion_of(one.data), out)
    return b"".join(out)


class ToolCalls:
    """Puts the tool calls of a stream in order: which deltas begin a new one.

    OpenAI numbers them; some servers give all of them the number 0 and only new ids.
    """

    def __init__(self) -> None:
        self._index = -1
        self._id: str | None = None

    @property
    def any(self) -> bool:
        """Whether there was one."""
        return self._id is not None

    def begins(self, call: ToolCall, is_open: bool) -> bool:
        """Whether `call` is the first part of a new tool call, not more of the one before.

        Args:
            call: a part of a tool call.
            is_open: whether nothing else has come since the last part of a tool call.

        Raises:
            ApiError: 502 where it goes on with a tool call that has ended.
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
