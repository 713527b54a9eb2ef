"""Translates requests of Anthropic's Messages API to chat completions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from headway.gateway.api.errors import ApiError
from headway.gateway.dialects.fields import OutputLimit, extras, unsupported
from headway.gateway.dialects.messages_content import MessageParam, TextBlock, to_chat
from headway.gateway.http.body import parsed


class Tool(Struct):
    """A tool that the client defines. Anthropic's own tools have another `type`."""

    name: str
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Raw] | None = None
    strict: bool | None = None


class ToolChoice(Struct):
    """Whether a tool must be used, and which."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class Thinking(Struct):
    """Whether the client wants the model's reasoning."""

    type: Literal["enabled", "adaptive", "between_tools", "disabled"]
    budget_tokens: int | None = None
    display: Literal["summarized", "omitted"] | None = None


class OutputFormat(Struct):
    """The JSON schema that the answer must match."""

    type: Literal["json_schema"]
    schema: dict[str, Raw]


class OutputConfig(Struct):
    """Reasoning effort, and format of the answer."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class CountTokensRequest(Struct, kw_only=True):
    """POST /v1/messages/count_tokens."""

    model: str
    messages: Annotated[list[MessageParam], Meta(min_length=1)]
    system: str | list[TextBlock] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None


class MessagesRequest(CountTokensRequest, kw_only=True):
    """POST /v1/messages."""

    max_tokens: OutputLimit
    stop_sequences: list[str] | None = None
    stream: bool = False
    temperature: Annotated[float, Meta(ge=0)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: int | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    metadata: dict[str, Any] | None = None
    """`user_id` is the tenant. `headway_tier` and the other `headway_` entries have the same effect
    as the headers."""

    @property
    def shows_thinking(self) -> bool:
        """Whether the answer contains the model's reasoning."""
        thinking = self.thinking
        return (
            thinking is not None and thinking.type != "disabled" and thinking.display != "omitted"
        )


_IGNORED = frozenset(
    (
        "cache_control",
        "container",
        "context_management",
        "diagnostics",
        "inference_geo",
        "mcp_servers",
        "speed",
        "user_profile_id",
        "workspace_id",
    )
)
"""Fields without meaning for a local engine."""

_KNOWN = frozenset(MessagesRequest.__struct_fields__) | _IGNORED
_EFFORTS = {"max": "xhigh"}

_decoder = msgspec.json.Decoder(MessagesRequest)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_counting_decoder = msgspec.json.Decoder(CountTokensRequest)


def read(body: bytes) -> tuple[MessagesRequest, dict[str, Any]]:
    """The request in `body`, and the fields of the equivalent chat completion.

    Raises:
        ApiError: 400, naming the field that is wrong or not supported.
    """
    request: MessagesRequest = parsed(body, _decoder)
    passed_on = extras(parsed(body, _FIELDS), _KNOWN, "/v1/messages")
    chat: dict[str, Any] = {**passed_on, **_prompt(request), "max_tokens": request.max_tokens}
    for name in ("temperature", "top_p", "top_k"):
        value = getattr(request, name)
        if value is not None:
            chat[name] = value
    if request.stop_sequences:
        chat["stop"] = request.stop_sequences
    if request.service_tier == "standard_only":
        chat["service_tier"] = "default"
    _identify(request.metadata or {}, chat)
    if request.stream:
        chat["stream"] = True
    return request, chat


def read_counting(body: bytes) -> dict[str, Any]:
    """The fields of a chat completion with the same prompt as the request in `body`.

    Raises:
        ApiError: 400, naming the field that is wrong or not supported.
    """
    return _prompt(parsed(body, _counting_decoder))


def _prompt(request: CountTokensRequest) -> dict[str, Any]:
    """The fields from which the engine builds its prompt."""
    chat: dict[str, Any] = {
        "model": request.model,
        "messages": to_chat(request.system, request.messages),
    }
    if request.tools:
        chat["tools"] = [_tool(place, tool) for place, tool in enumerate(request.tools)]
        if request.tool_choice is not None:
            _choose(request.tool_choice, chat)
    config = request.output_config
    if config is not None and config.effort is not None:
        chat["reasoning_effort"] = _EFFORTS.get(config.effort, config.effort)
    if config is not None and config.format is not None:
        schema = {"name": "answer", "schema": config.format.schema, "strict": True}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    return chat


def _tool(place: int, tool: Tool) -> dict[str, Any]:
    if tool.type not in (None, "custom") or tool.input_schema is None:
        raise unsupported(
            f"tools[{place}]: engines call functions only, so none can be "
            f"{tool.type or tool.name!r}; define your own tools with name, description and "
            "input_schema.",
            f"tools[{place}]",
        )
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.input_schema}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _choose(choice: ToolChoice, chat: dict[str, Any]) -> None:
    if choice.type == "tool":
        if choice.name is None:
            raise ApiError(
                400,
                "tool_choice of type 'tool' needs the name of the tool.",
                code="invalid_value",
                param="tool_choice.name",
            )
        chat["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    else:
        chat["tool_choice"] = "required" if choice.type == "any" else choice.type
    if choice.disable_parallel_tool_use:
        chat["parallel_tool_calls"] = False


def _identify(metadata: dict[str, Any], chat: dict[str, Any]) -> None:
    """Copy the tenant and the scheduling fields from `metadata` to `chat`."""
    user = metadata.get("user_id")
    if user is not None:
        if not isinstance(user, str):
            raise ApiError(
                400,
                "metadata.user_id must be a string.",
                code="invalid_value",
                param="metadata.user_id",
            )
        chat["user"] = user
    asked = {name: value for name, value in metadata.items() if name.startswith("headway_")}
    if asked:
        chat["metadata"] = asked
