"""What a request says of its prompt."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from headway.gateway.intake.given import opening, read

SYSTEM, USER = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}


def opening_of(path: str, **fields: Any) -> str:
    return opening(read(path, msgspec.json.encode(fields)).call)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([USER, {"role": "assistant", "content": "Hi"}], "Hello"),
        ([USER, SYSTEM], "Be brief."),
        ([USER, {**SYSTEM, "role": "developer"}], "Be brief."),
        (
            [{"role": "user", "content": [{"type": "text", "text": "Hellö"}, {"text": "x"}]}],
            "Hellö\nx",
        ),
        ([{"role": "user", "content": [{"image_url": {"url": "data:"}}]}], ""),
        ([{"role": "user", "content": [{"text": [[["Hello"]]]}, {"text": None}]}], ""),
        ([{"role": "user", "content": None}], ""),
    ],
)
def test_a_chat_opens_with_its_system_message_or_else_its_first(
    messages: list[dict[str, Any]], expected: str
) -> None:
    assert opening_of("/v1/chat/completions", messages=messages) == expected


@pytest.mark.parametrize(
    ("prompt", "expected"), [("Hello", "Hello"), (["a", "b"], "a\nb"), ([1, 2, 3], ""), ([], "")]
)
def test_a_completion_opens_with_its_prompt(prompt: Any, expected: str) -> None:
    assert opening_of("/v1/completions", prompt=prompt) == expected
