"""The request of a trial, and whether its answer shows that a backend works."""

from __future__ import annotations

import msgspec

from headway.engines.event_stream import EventStreamParser

TRIAL_TOKENS = 8
"""Several tokens, to detect backends that break off in the middle of a stream."""


def trial_request(model: str) -> bytes:
    """The body of a short, streamed chat request."""
    messages = [{"role": "user", "content": "Hi"}]
    asked = {"model": model, "messages": messages, "max_tokens": TRIAL_TOKENS, "stream": True}
    return msgspec.json.encode(asked)


def trial_fault(answer: bytes) -> str | None:
    """What is wrong with `answer`, which had status 200; None if it is complete.

    Servers that cannot stream answer with one JSON object.
    """
    parser = EventStreamParser()
    events = [event.data for event in (*parser.feed(answer), *parser.close())]
    chunks = [data for data in events if data is not None]
    if not chunks:
        return _fault(answer)
    finished = False
    for data in chunks:
        if data.strip() == b"[DONE]":
            return None if finished or len(chunks) > 1 else "an empty stream"
        fault = _fault(data)
        if fault is not None:
            return fault
        choices = _decode(data).choices or ()
        finished |= any(choice.finish_reason is not None for choice in choices)
    return None if finished else "a stream that ended too early"


def _fault(data: bytes) -> str | None:
    try:
        chunk = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "something that is not a JSON object of OpenAI's API"
    if chunk.choices is not None:
        return None
    return "an error" if bytes(chunk.error) != b"null" else "an object without choices"


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_decode = msgspec.json.Decoder(_Chunk).decode
