from __future__ import annotations

import pytest

from headway.gateway.answers.answer_tokens import answer_tokens


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b'{"choices": [{"message": {"content": "12345678"}}]}', 2),
        (b'{"choices": [{"text": "1234"}, {"text": "12345"}]}', 3),
        (b'{"choices": [{"message": {"content": null, "reasoning_content": "1234"}}]}', 1),
        (b'{"choices": [{"message": {"content": "", "reasoning": "1234"}}]}', 1),
        (b'{"choices": [{"message": {"tool_calls": [{"id": "1234567"}]}}]}', 5),
        (b'{"choices": []}', 0),
        (b"{}", 0),
    ],
)
def test_what_the_model_wrote_is_counted(body: bytes, tokens: int) -> None:
    assert answer_tokens(body) == tokens


def test_an_answer_in_an_unknown_shape_is_counted_whole() -> None:
    assert answer_tokens(b'{"choices": "' + b"x" * 400 + b'"}') > 100
