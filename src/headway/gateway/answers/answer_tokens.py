"""Estimates the tokens of an answer, for backends that report no usage."""

from __future__ import annotations

import msgspec

BYTES_PER_TOKEN = 4


class _Message(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    """Its name in vLLM since 0.11, and in Ollama and OpenRouter."""
    tool_calls: msgspec.Raw = msgspec.Raw(b"")


class _Choice(msgspec.Struct):
    text: str | None = None
    message: _Message | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []


_decoder = msgspec.json.Decoder(_Answer)


def answer_tokens(body: bytes) -> int:
    """Approximate number of tokens of a whole answer, from the bytes of the model's output.

    If the format is unknown, the whole body counts: too many tokens rather than none.
    """
    sizes = answer_bytes(body)
    return len(body) // BYTES_PER_TOKEN if sizes is None else -(-sum(sizes) // BYTES_PER_TOKEN)


def answer_bytes(body: bytes) -> list[int] | None:
    """Bytes of the model's output in each choice of a whole answer; None: its format is unknown."""
    try:
        answer = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return [_written(choice) for choice in answer.choices]


def _written(choice: _Choice) -> int:
    message = choice.message or _Message()
    thought = message.reasoning_content or message.reasoning
    texts = (choice.text, message.content, thought)
    written = sum(len(text.encode()) for text in texts if text)
    return written + memoryview(message.tool_calls).nbytes
