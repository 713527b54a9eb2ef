"""A registered prompt in a request of OpenAI's Responses API."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec

from headway.prompts.prompt import Rendered

_SYSTEM = ("system", "developer")
_INPUT = msgspec.json.Decoder(str | list[msgspec.Raw])
_SECTION = msgspec.json.Decoder(dict[str, msgspec.Raw])


def response_with(given: dict[str, msgspec.Raw], rendered: Rendered) -> dict[str, Any]:
    """The fields of a request with a prompt.

    The prompt's first system messages are its instructions, and its other messages stand before the
    input: so the input is kept with the response, and instructions are not, as without a prompt.

    Args:
        given: the request's own fields, which outrank the prompt's settings. Those of a wrong type
            are left as they are, to be refused where the fields are checked.
        rendered: the prompt.
    """
    fields = _settings(rendered.settings)
    messages = list(rendered.messages)
    instructions: list[str] = []
    while messages and messages[0]["role"] in _SYSTEM:
        instructions.append(messages.pop(0)["content"])
    if instructions:
        fields["instructions"] = "\n\n".join(instructions)
    if "tools" in given:
        fields.pop("tool_choice", None)  # it may name a tool that is not there now
    merged: dict[str, Any] = fields | given
    for name in ("text", "reasoning"):
        if name in fields and name in given:
            with suppress(msgspec.ValidationError):
                merged[name] = fields[name] | _SECTION.decode(given[name])
    with suppress(msgspec.ValidationError):
        own = _INPUT.decode(given["input"]) if "input" in given else []
        items = [*messages, *([{"role": "user", "content": own}] if isinstance(own, str) else own)]
        if items:
            merged["input"] = items
    return merged


def _settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Fields of a chat completion under the names that they have here."""
    fields = dict(settings)
    text: dict[str, Any] = {}
    form = fields.pop("response_format", None)
    if form is not None:
        text["format"] = {"type": form["type"], **form.get("json_schema", {})}
    if "verbosity" in fields:
        text["verbosity"] = fields.pop("verbosity")
    if text:
        fields["text"] = text
    if "max_tokens" in fields:
        fields["max_output_tokens"] = fields.pop("max_tokens")
    if "reasoning_effort" in fields:
        fields["reasoning"] = {"effort": fields.pop("reasoning_effort")}
    if "tools" in fields:
        fields["tools"] = [{"type": "function", **tool["function"]} for tool in fields["tools"]]
    choice = fields.get("tool_choice")
    if isinstance(choice, dict) and isinstance(choice.get("function"), dict):
        fields["tool_choice"] = {"type": "function", **choice["function"]}
    return fields
