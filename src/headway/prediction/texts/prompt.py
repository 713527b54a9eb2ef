"""What a predictor may know of a request before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

SYSTEM_ROLES = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Prompt:
    """The text of a request, and its parameters.

    Made from what clients send, so nothing in it can be relied on. A prompt that is not text
    (images, token ids) has an empty `text`.
    """

    text: str
    """The last message of the user, or the prompt of a completion."""
    system: str = ""
    turns: int = 1
    """Number of user messages so far."""
    previous_chars: int = 0
    """Length of the last answer of this conversation."""
    max_tokens: int | None = None
    temperature: float | None = None
    tools: int = 0
    structured: bool = False
    """The answer must be a JSON object or follow a schema."""
    stops: int = 0
    """Number of stop sequences."""

    @classmethod
    def from_fields(cls, kind: str, fields: Mapping[str, msgspec.Raw]) -> Prompt:
        """Read the body of an OpenAI request. Never raises: malformed fields are ignored."""
        call = _read(fields)
        system = text = ""
        turns = previous_chars = 0
        if kind == "chat":
            for message in _list(call.get("messages")):
                if not isinstance(message, dict):
                    continue
                role, content = message.get("role"), text_of(message.get("content"))
                if role == "user":
                    text, turns = content, turns + 1
                elif role == "assistant":
                    previous_chars = len(content)
                elif role in SYSTEM_ROLES:
                    system = content
        else:
            text, turns = text_of(call.get("prompt")), 1
        response_format = call.get("response_format")
        return cls(
            text=text,
            system=system,
            turns=max(1, turns),
            previous_chars=previous_chars,
            max_tokens=_number(call.get("max_completion_tokens") or call.get("max_tokens")),
            temperature=_real(call.get("temperature")),
            tools=len(_list(call.get("tools"))),
            structured=isinstance(response_format, dict)
            and str(response_format.get("type")).startswith("json"),
            stops=1 if isinstance(call.get("stop"), str) else len(_list(call.get("stop"))),
        )


_READ = (
    "messages",
    "prompt",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "tools",
    "response_format",
    "stop",
)


def _read(fields: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    call = {}
    for name in _READ:
        raw = fields.get(name)
        if raw is not None:
            try:
                call[name] = msgspec.json.decode(raw)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                continue
    return call


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def text_of(content: object) -> str:
    """The text of a message's content or of a prompt; the text parts of a list, joined."""
    if isinstance(content, str):
        return content
    parts = []
    for part in _list(content):
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            parts.append(part["text"])
    return "\n".join(parts)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _real(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
