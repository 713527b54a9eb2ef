"""Translates the content of Anthropic's messages to messages of chat completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct


class TextBlock(Struct, tag="text"):
    """Text."""

    text: str


class Base64Source(Struct, tag="base64"):
    """Data in the request itself."""

    media_type: str
    data: str


class UrlSource(Struct, tag="url"):
    """Data that the engine fetches."""

    url: str


class TextSource(Struct, tag="text"):
    """A document that is plain text."""

    data: str


class ImageBlock(Struct, tag="image"):
    """An image."""

    source: Base64Source | UrlSource


class DocumentBlock(Struct, tag="document"):
    """A document: plain text, or a PDF in base64."""

    source: TextSource | Base64Source
    title: str | None = None


class SearchResultBlock(Struct, tag="search_result"):
    """A search result of the client."""

    source: str
    title: str
    content: list[TextBlock]


class ToolUseBlock(Struct, tag="tool_use"):
    """A tool call that the model made earlier."""

    id: str
    name: str
    input: dict[str, Any]


class ToolResultBlock(Struct, tag="tool_result"):
    """What a tool call returned."""

    tool_use_id: str
    content: str | list[TextBlock | ImageBlock | DocumentBlock | SearchResultBlock] | None = None
    is_error: bool = False


class ThinkingBlock(Struct, tag="thinking"):
    """Earlier reasoning. Headway leaves it out of the prompt, as chat templates do."""


class RedactedThinkingBlock(Struct, tag="redacted_thinking"):
    """Earlier reasoning that only Anthropic can read."""


Block = (
    TextBlock
    | ImageBlock
    | DocumentBlock
    | SearchResultBlock
    | ToolUseBlock
    | ToolResultBlock
    | ThinkingBlock
    | RedactedThinkingBlock
)
Part = TextBlock | ImageBlock | DocumentBlock | SearchResultBlock


class MessageParam(Struct):
    """One message of the conversation."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


def to_chat(
    system: str | Sequence[TextBlock] | None, messages: Sequence[MessageParam]
) -> list[dict[str, Any]]:
    """The same conversation in the messages of a chat completion."""
    chat: list[dict[str, Any]] = []
    if system:
        text = system if isinstance(system, str) else "\n\n".join(one.text for one in system)
        chat.append({"role": "system", "content": text})
    for message in messages:
        if isinstance(message.content, str):
            chat.append({"role": message.role, "content": message.content})
        elif message.role == "assistant":
            chat.append(_assistant(message.content))
        else:
            chat += _user(message.role, message.content)
    return chat


def _assistant(blocks: Sequence[Block]) -> dict[str, Any]:
    text = "".join(block.text for block in blocks if isinstance(block, TextBlock))
    calls = [
        {
            "id": block.id,
            "type": "function",
            "function": {
                "name": block.name,
                "arguments": msgspec.json.encode(block.input).decode(),
            },
        }
        for block in blocks
        if isinstance(block, ToolUseBlock)
    ]
    if calls:
        return {"role": "assistant", "content": text or None, "tool_calls": calls}
    return {"role": "assistant", "content": text}


def _user(role: str, blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """Tool results first, as chat completions demand, then the rest of the message."""
    chat: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for block in blocks:
        if isinstance(block, ToolResultBlock):
            found = [] if isinstance(block.content, str) else list(map(_part, block.content or ()))
            texts = [part["text"] for part in found if part["type"] == "text"]
            text = block.content if isinstance(block.content, str) else "\n".join(texts)
            # A message with the role `tool` may hold text only: images go into the next message.
            parts += [part for part in found if part["type"] != "text"]
            if block.is_error:
                text = f"Error: {text}"
            chat.append({"role": "tool", "tool_call_id": block.tool_use_id, "content": text})
    parts += [_part(block) for block in blocks if isinstance(block, Part)]
    if len(parts) == 1 and parts[0]["type"] == "text":
        chat.append({"role": role, "content": parts[0]["text"]})
    elif parts or not chat:
        chat.append({"role": role, "content": parts})
    return chat


def _part(block: Part) -> dict[str, Any]:
    if isinstance(block, TextBlock):
        return {"type": "text", "text": block.text}
    if isinstance(block, SearchResultBlock):
        lines = [block.title, block.source, *(one.text for one in block.content)]
        return {"type": "text", "text": "\n".join(lines)}
    source = block.source
    if isinstance(source, TextSource):
        title = getattr(block, "title", None)
        return {"type": "text", "text": f"{title}\n{source.data}" if title else source.data}
    if isinstance(source, UrlSource):
        return {"type": "image_url", "image_url": {"url": source.url}}
    data = f"data:{source.media_type};base64,{source.data}"
    if isinstance(block, ImageBlock):
        return {"type": "image_url", "image_url": {"url": data}}
    return {"type": "file", "file": {"filename": block.title or "document", "file_data": data}}
