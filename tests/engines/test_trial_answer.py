"""Trials: which answers show that a backend works."""

from __future__ import annotations

import msgspec
import pytest

from headway.engines.trial_answer import trial_fault, trial_request

TOKEN = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": null}]}\n\n'
LAST = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error": {"message": "no", "code": 500}}\n\n'


def test_it_asks_for_a_stream_of_several_tokens() -> None:
    asked = msgspec.json.decode(trial_request("m"))
    assert asked["model"] == "m" and asked["stream"] is True and asked["max_tokens"] > 1


@pytest.mark.parametrize(
    "answer",
    [
        TOKEN + LAST + DONE,
        TOKEN + LAST,
        TOKEN + DONE,
        (TOKEN + LAST + DONE).replace(b"\n", b"\r\n"),
        b": waiting\n\n" + TOKEN + LAST,
        b'{"choices": [{"message": {"content": "a"}, "finish_reason": "length"}]}',
    ],
)
def test_a_whole_answer_is_a_good_one(answer: bytes) -> None:
    assert trial_fault(answer) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"detail": "busy"}',
        b'{"error": {"message": "no"}}',
        b"<html>busy</html>",
        b"\x00\xff\xfe",
        DONE,
        TOKEN,
        TOKEN + TOKEN,
        TOKEN + b'data: {"choices": [{"delta',
        ERROR + DONE,
        TOKEN + ERROR + DONE,
    ],
)
def test_anything_else_is_not(answer: bytes) -> None:
    assert trial_fault(answer) is not None
