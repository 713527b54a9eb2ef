"""Translates requests of OpenAI's Responses API to chat completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from headway.gateway.api.errors import ApiError
from headway.gateway.api.wire import PromptReference
from headway.gateway.dialects.fields import OutputLimit, extras, unsupported
from headway.gateway.dialects.responses_items import Item, to_chat
from headway.gateway.http.body import parsed


class FunctionTool(Struct):
    """A function that the client defines. OpenAI's own tools have another `type`."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Raw] | None = None
    strict: bool | None = None


class FunctionChoice(Struct):
    """The function that must be called, or the tools that may be called."""

    type: str
    name: str | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: list[FunctionTool] = []


class Format(Struct):
    """The format of the answer's text."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: dict[str, Raw] | None = None
    strict: bool | None = None


class Text(Struct):
    """Format and verbosity of the answer's text."""

    format: Format | None = None
    verbosity: str | None = None


class Reasoning(Struct):
    """How much the model reasons."""

    effort: str | None = None


class ResponsesRequest(Struct, kw_only=True):
    """POST /v1/responses."""

    model: str = "default"
    input: str | Annotated[list[Item], Meta(min_length=1)]
    instructions: str | None = None
    prompt: PromptReference | None = None
    """The registered prompt that was filled in before this is read."""
    previous_response_id: str | None = None
    """The response whose conversation is continued."""
    store: bool | None = None
    """False: neither the request nor its answer is kept."""
    stream: bool | None = None
    background: bool | None = None
    max_output_tokens: OutputLimit | None = None
    temperature: Annotated[float, Meta(ge=0)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | FunctionChoice | None = None
    parallel_tool_calls: bool | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    include: list[str] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    """Nothing is truncated: a conversation that is too long is an error."""
    metadata: dict[str, Any] | None = None
    """`headway_tier` and the other `headway_` entries have the same effect as the headers."""
    service_tier: str | None = None
    user: str | None = None
    safety_identifier: str | None = None

    @property
    def items(self) -> list[Item]:
        """The input as items."""
        if isinstance(self.input, str):
            return [Item(type="message", role="user", content=self.input)]
        return self.input

    @property
    def wants_logprobs(self) -> bool:
        """Whether the answer contains the tokens' log probabilities."""
        return "message.output_text.logprobs" in (self.include or ()) or bool(self.top_logprobs)


_IGNORED = frozenset(
    (
        "image",
        "max_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "stream_options",
    )
)
"""Fields without meaning for a local engine."""

_REFUSED = {
    "context_management": "Headway does not shorten conversations; send a shorter one",
    "conversation": "Headway has no conversation objects; use previous_response_id",
    "moderation": "Headway does not moderate",
}

_KNOWN = frozenset(ResponsesRequest.__struct_fields__) | _IGNORED | _REFUSED.keys()
_UNCHANGED = ("temperature", "top_p", "service_tier", "user")

_decoder = msgspec.json.Decoder(ResponsesRequest)
_FIELDS = msgspec.json.Decoder(dict[str, Any])


def read(body: bytes) -> tuple[ResponsesRequest, dict[str, Any]]:
    """The request in `body`, and all of its fields.

    Raises:
        ApiError: 400, naming the field that is wrong or not supported.
    """
    request: ResponsesRequest = parsed(body, _decoder)
    fields: dict[str, Any] = parsed(body, _FIELDS)
    for name, why in _REFUSED.items():
        if fields.get(name) is not None:
            raise unsupported(f"{name} is not supported: {why}.", name)
    if request.background:
        raise unsupported(
            "background responses are not supported yet; leave background out.",
            "background",
        )
    return request, fields


def prompt_of(request: ResponsesRequest, earlier: Sequence[Item]) -> dict[str, Any]:
    """The fields of the equivalent chat completion from which the engine builds its prompt.

    Args:
        request: from `read`.
        earlier: the conversation that `previous_response_id` refers to.

    Raises:
        ApiError: 400, naming the field that is wrong or not supported.
    """
    chat: dict[str, Any] = {
        "model": request.model,
        "messages": to_chat(request.instructions, earlier, request.items),
    }
    if request.reasoning is not None and request.reasoning.effort is not None:
        chat["reasoning_effort"] = request.reasoning.effort
    if request.text is not None:
        _form(request.text, chat)
    if request.tools:
        _offer(request.tools, request.tool_choice, chat)
        if request.parallel_tool_calls is not None:
            chat["parallel_tool_calls"] = request.parallel_tool_calls
    return chat


def chat_of(
    request: ResponsesRequest, fields: dict[str, Any], earlier: Sequence[Item]
) -> dict[str, Any]:
    """The fields of the equivalent chat completion.

    Args:
        request: from `read`.
        fields: from `read`.
        earlier: the conversation that `previous_response_id` refers to.

    Raises:
        ApiError: 400, naming the field that is wrong or not supported.
    """
    chat: dict[str, Any] = {
        **extras(fields, _KNOWN, "/v1/responses"),
        **prompt_of(request, earlier),
    }
    for name in _UNCHANGED:
        value = getattr(request, name)
        if value is not None:
            chat[name] = value
    if request.max_output_tokens is not None:
        chat["max_tokens"] = request.max_output_tokens
    if request.user is None and request.safety_identifier is not None:
        chat["user"] = request.safety_identifier
    asked = {k: v for k, v in (request.metadata or {}).items() if k.startswith("headway_")}
    if asked:
        chat["metadata"] = asked
    if request.wants_logprobs:
        chat |= {"logprobs": True, "top_logprobs": request.top_logprobs or 0}
    if request.stream:
        chat["stream"] = True
    return chat


def _form(text: Text, chat: dict[str, Any]) -> None:
    if text.verbosity is not None:
        chat["verbosity"] = text.verbosity
    form = text.format
    if form is None or form.type == "text":
        return
    if form.type == "json_object":
        chat["response_format"] = {"type": "json_object"}
        return
    if form.name is None or form.schema is None:
        raise ApiError(
            400,
            "A text.format of type json_schema needs a name and a schema.",
            code="invalid_value",
            param="text.format",
        )
    schema: dict[str, Any] = {"name": form.name, "schema": form.schema}
    if form.strict is not None:
        schema["strict"] = form.strict
    if form.description is not None:
        schema["description"] = form.description
    chat["response_format"] = {"type": "json_schema", "json_schema": schema}


def _offer(
    tools: Sequence[FunctionTool], choice: str | FunctionChoice | None, chat: dict[str, Any]
) -> None:
    offered = [_function(tool, f"tools[{place}]") for place, tool in enumerate(tools)]
    if isinstance(choice, FunctionChoice) and choice.type == "allowed_tools":
        allowed = {tool.name for tool in choice.tools}
        offered = [tool for tool in offered if tool["function"]["name"] in allowed]
        choice = choice.mode
    if isinstance(choice, FunctionChoice):
        if choice.type != "function" or choice.name is None:
            raise unsupported(
                f"tool_choice has the type {choice.type!r}; supported are none, auto, required, "
                "allowed_tools, and function with a name.",
                "tool_choice",
            )
        chat["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice is not None:
        chat["tool_choice"] = choice
    chat["tools"] = offered


def _function(tool: FunctionTool, where: str) -> dict[str, Any]:
    if tool.type != "function" or tool.name is None:
        raise unsupported(
            f"{where}: engines call functions only, so none can be {tool.type!r}; define your "
            "own functions with name, description and parameters.",
            where,
        )
    function: dict[str, Any] = {"name": tool.name}
    for name in ("description", "parameters", "strict"):
        value = getattr(tool, name)
        if value is not None:
            function[name] = value
    return {"type": "function", "function": function}
