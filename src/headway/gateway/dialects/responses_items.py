"""Translates items of OpenAI's Responses API to messages of chat completions."""

from __future__ import annotations

from collections.abc import Sequence
from os import urandom
from typing import Any, Literal

from msgspec import Struct

from headway.gateway.api.errors import ApiError
from headway.gateway.dialects.fields import unsupported


class Part(Struct):
    """A part of a message or of a function's result."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: dict[str, Any] | None = None


class Item(Struct):
    """One item of a conversation."""

    type: str | None = None
    """None: a message."""
    id: str | None = None
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: str | list[Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[Part] | None = None


_TEXTS = ("input_text", "output_text", "text")


def to_chat(
    instructions: str | None, earlier: Sequence[Item], items: Sequence[Item]
) -> list[dict[str, Any]]:
    """The same conversation in the messages of a chat completion.

    Args:
        instructions: become the first system message.
        earlier: the conversation that `items` continue.
        items: the input.

    Raises:
        ApiError: 400 for an item that chat completions cannot express.
    """
    chat: list[dict[str, Any]] = []
    if instructions:
        chat.append({"role": "system", "content": instructions})
    images: list[dict[str, Any]] = []
    for place, item in enumerate([*earlier, *items], -len(earlier)):
        where = f"input[{place}]"
        if item.type != "function_call_output" and images:
            chat.append({"role": "user", "content": images})
            images = []
        if item.type == "function_call":
            _add_call(item, chat, where)
        elif item.type == "function_call_output":
            text, found = _returned(item, where)
            chat.append({"role": "tool", "tool_call_id": item.call_id, "content": text})
            # A message with the role `tool` may hold text only: images go into a user message.
            images += found
        elif item.type == "message" or (item.type is None and item.role is not None):
            _add_message(item, chat, where)
        elif item.type != "reasoning":  # earlier reasoning is left out, as in chat templates
            raise _no_such_item(item, where)
    if images:
        chat.append({"role": "user", "content": images})
    return chat


def listed(given: str | Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items of an input in the format of `input_items`: each has a type and an id."""
    found = [{"role": "user", "content": given}] if isinstance(given, str) else given
    items: list[dict[str, Any]] = []
    for item in found:
        kind = item.get("type") or "message"
        listed = {**item, "type": kind, "id": item.get("id") or f"item_{urandom(20).hex()}"}
        listed.setdefault("status", "completed")
        if isinstance(item.get("content"), str):
            part = "output_text" if item.get("role") == "assistant" else "input_text"
            listed["content"] = [{"type": part, "text": item["content"]}]
            if part == "output_text":
                listed["content"][0]["annotations"] = []
        items.append(listed)
    return items


def _add_message(item: Item, chat: list[dict[str, Any]], where: str) -> None:
    if item.role is None or item.content is None:
        raise _missing(where, "a message needs a role and a content")
    if item.role == "assistant":
        said = item.content
        if not isinstance(said, str):
            said = "".join(part.text or part.refusal or "" for part in said)
        chat.append({"role": "assistant", "content": said})
        return
    content: str | list[dict[str, Any]]
    content = item.content if isinstance(item.content, str) else _parts(item.content, where)
    if item.role == "user":
        chat.append({"role": "user", "content": content})
        return
    # Chat templates have no developer role; many accept only a first system message.
    if not isinstance(content, str):
        content = "\n\n".join(part.get("text", "") for part in content)
    if len(chat) == 1 and chat[0]["role"] == "system":
        chat[0]["content"] += "\n\n" + content
    else:
        chat.append({"role": "system", "content": content})


def _add_call(item: Item, chat: list[dict[str, Any]], where: str) -> None:
    if item.call_id is None or item.name is None:
        raise _missing(where, "a function_call needs call_id, name and arguments")
    call = {
        "id": item.call_id,
        "type": "function",
        "function": {"name": item.name, "arguments": item.arguments or "{}"},
    }
    if not chat or chat[-1]["role"] != "assistant":
        chat.append({"role": "assistant", "content": None})
    chat[-1].setdefault("tool_calls", []).append(call)


def _returned(item: Item, where: str) -> tuple[str, list[dict[str, Any]]]:
    """The text that a function returned, and its other parts."""
    if item.call_id is None or item.output is None:
        raise _missing(where, "a function_call_output needs call_id and output")
    if isinstance(item.output, str):
        return item.output, []
    parts = [_part(part, f"{where}.output[{place}]") for place, part in enumerate(item.output)]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return "\n".join(texts), [part for part in parts if part["type"] != "text"]


def _parts(parts: Sequence[Part], where: str) -> str | list[dict[str, Any]]:
    chat = [_part(part, f"{where}.content[{place}]") for place, part in enumerate(parts)]
    if len(chat) == 1 and chat[0]["type"] == "text":
        text: str = chat[0]["text"]
        return text
    return chat


def _part(part: Part, where: str) -> dict[str, Any]:
    if part.type in _TEXTS and part.text is not None:
        return {"type": "text", "text": part.text}
    if part.type == "input_image" and part.image_url is not None:
        image = {"url": part.image_url}
        if part.detail is not None:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    if part.type == "input_file" and part.file_data is not None:
        file = {"filename": part.filename or "document", "file_data": part.file_data}
        return {"type": "file", "file": file}
    if part.type == "input_audio" and part.input_audio is not None:
        return {"type": "input_audio", "input_audio": part.input_audio}
    if part.file_id is not None or part.file_url is not None:
        raise unsupported(
            f"{where}: Headway does not store or fetch files; send the data, in image_url or "
            "file_data.",
            where,
        )
    raise unsupported(
        f"{where} has the type {part.type!r} or lacks its value; supported are input_text, "
        "input_image with image_url, input_file with file_data, and input_audio.",
        where,
    )


def _no_such_item(item: Item, where: str) -> ApiError:
    if item.type in (None, "item_reference"):
        return unsupported(
            f"{where} refers to an item by its id; send the item itself, or continue a whole "
            "response with previous_response_id.",
            where,
        )
    return unsupported(
        f"{where} has the type {item.type!r}; supported are message, function_call, "
        "function_call_output and reasoning.",
        where,
    )


def _missing(where: str, message: str) -> ApiError:
    return ApiError(400, f"{where}: {message}.", code="invalid_value", param=where)
