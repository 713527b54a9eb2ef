"""Prompts as lines of JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from headway.prediction.texts.prompt import Prompt


class PromptLine(msgspec.Struct):
    """One line: an id, and a prompt or the messages of a chat.

    Raises:
        ValueError: it has neither.
    """

    id: int | str
    prompt: str | None = None
    messages: list[Any] | None = None
    """As in OpenAI's API. Answers at the end are left out: they are what is to be predicted."""
    system: str = ""

    def __post_init__(self) -> None:
        if self.prompt is None and not self.messages:
            raise ValueError("a line needs `prompt` or `messages`")

    def read(self) -> Prompt:
        """The prompt."""
        if self.prompt is not None:
            return Prompt(self.prompt, self.system)
        asked = list(self.messages or ())
        while asked and isinstance(asked[-1], dict) and asked[-1].get("role") == "assistant":
            asked.pop()
        if self.system:
            asked.insert(0, {"role": "system", "content": self.system})
        fields = {"messages": msgspec.Raw(msgspec.json.encode(asked))}
        return Prompt.from_fields("chat", fields)
