"""Relays an OpenAI event stream: counts its events, and changes only usage."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from headway.engines.engine import BackendGone, EngineError
from headway.engines.event_stream import Event, EventStreamParser

DONE = b"data: [DONE]\n\n"

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PARSED_MARKS = (b'"error"', b"[DONE]", b"\r")
"""A block that contains one of these must be parsed, not only counted."""


class EventRelay:
    """Passes on the blocks of a backend's stream, wherever it is split.

    Only events with a usage object are changed: they get Headway's part if the client asked for
    usage. Otherwise they are dropped, unless they also hold output. (Headway always asks for usage,
    to learn lengths.) The output is well formed, even if the backend's is not, and ends with
    `[DONE]`.

    Args:
        wants_usage: whether the client asked for usage.
        usage: takes the backend's usage object, and returns the one to send.
        choices: number of answers in the stream, which may end once all have a `finish_reason`.
    """

    __slots__ = (
        "_choices",
        "_error",
        "_finished",
        "_parser",
        "_proven",
        "_usage",
        "_wants_usage",
        "_whole",
        "done",
        "events",
    )

    def __init__(
        self,
        wants_usage: bool,
        usage: Callable[[dict[str, msgspec.Raw]], dict[str, msgspec.Raw]],
        choices: int = 1,
    ) -> None:
        self._wants_usage = wants_usage
        self._usage = usage
        self._choices = choices
        self._finished: set[int] = set()
        self._parser = EventStreamParser()
        self._whole = True
        """Whether the data so far ends with a complete event."""
        self._error: BackendGone | EngineError | None = None
        self._proven = False
        """Whether the first event was a valid event of OpenAI's API."""
        self.events = 0
        """Number of events with output so far."""
        self.done = False
        """Whether `[DONE]` has arrived."""

    def feed(self, block: bytes) -> bytes:
        """Take a block from the backend; returns what to send to the client.

        Raises:
            EngineError: the backend reports an error.
            BackendGone: this is not an event stream of OpenAI's API.
        """
        if self._proven and self._whole and not self.done and _is_plain(block):
            self.events += block.count(b"\n\n")
            return block
        self._whole = block.endswith(b"\n\n")
        return self._passed(self._parser.feed(block))

    def end(self) -> bytes:
        """The body has ended; returns the last events to send.

        Raises:
            EngineError: the backend reports an error.
            BackendGone: there was neither `[DONE]` nor a `finish_reason` for every choice.
        """
        last = self._passed(self._parser.close())
        if self._error is not None:
            raise self._error
        if self.done:
            return last
        if len(self._finished) < self._choices:
            raise BackendGone("the stream ended too early")
        self.done = True
        return last + DONE

    def _passed(self, events: Iterable[Event]) -> bytes:
        """What to send of `events`. Raises an error among them once all before it were sent."""
        if self._error is not None:
            raise self._error
        out = b""
        for event in events:
            try:
                out += self._event(event)
            except (BackendGone, EngineError) as error:
                if not out:
                    raise
                self._error = error
                break
        return out

    def _event(self, event: Event) -> bytes:
        data = event.data
        if self.done:
            return b""
        if data is None:
            return _written(event)
        if data.strip() == b"[DONE]":
            self.done = True
            return DONE
        if data == b"null":  # llama.cpp, when several prompts are answered in one stream
            return b""
        try:
            chunk = _chunks.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            if not self._proven:
                raise BackendGone(f"it sent an event that cannot be read: {data[:100]!r}") from None
            self.events += 1
            return _written(event)
        if bytes(chunk.error) != b"null" and not chunk.choices:
            raise _reported(chunk.error, data)
        for choice in chunk.choices or ():
            if choice.finish_reason is not None:
                self._finished.add(choice.index)
        usage = _object(chunk.usage)
        if chunk.choices is None and usage is None and not self._proven:
            raise BackendGone(f"it sent an event without choices: {data[:100]!r}")
        self._proven = True
        if chunk.choices or usage is None:
            # Some servers put usage into events that have output.
            self.events += 1
        if usage is None:
            return _written(event)
        mine = self._usage(usage)
        if self._wants_usage:
            fields = _OBJECT.decode(data)
            fields["usage"] = msgspec.Raw(msgspec.json.encode(mine))
            return b"data: " + msgspec.json.encode(fields) + b"\n\n"
        return _written(event) if chunk.choices else b""


def _is_plain(block: bytes) -> bool:
    """Whether `block` consists of whole events with output that need not be parsed."""
    if not (block.startswith(b"data: ") and block.endswith(b"\n\n")):
        return False
    events = block.count(b"\n\n")
    if events > 1 and block.count(b"\n\ndata: ") != events - 1:
        return False
    for mark in _PARSED_MARKS:
        if mark in block:
            return False
    if b'"usage"' in block and (b'"usage":{' in block or b'"usage": {' in block):
        return False
    reasons = block.count(b'"finish_reason"')
    return reasons == block.count(b'"finish_reason":null') or reasons == block.count(
        b'"finish_reason": null'
    )


def _written(event: Event) -> bytes:
    """The bytes of `event`."""
    lines = []
    if event.comment is not None:
        lines += [b": " + line for line in event.comment.split(b"\n")]
    if event.type:
        lines.append(b"event: " + event.type)
    if event.data is not None:
        lines += [b"data: " + line for line in event.data.split(b"\n")]
    return b"\n".join(lines) + b"\n\n"


def _object(raw: msgspec.Raw) -> dict[str, msgspec.Raw] | None:
    try:
        return _OBJECT.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _reported(error: msgspec.Raw, body: bytes) -> EngineError:
    """The error that a backend reports in its stream."""
    try:
        reported = msgspec.json.decode(error, type=_Error)
    except (msgspec.DecodeError, UnicodeDecodeError):
        reported = _Error()
    code = reported.code
    status = code if isinstance(code, int) and 400 <= code <= 599 else 500
    return EngineError(status, body, bytes(error)[:200].decode(errors="replace"))


_NOTHING = msgspec.Raw(b"null")


class _Choice(msgspec.Struct):
    index: int = 0
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _NOTHING
    error: msgspec.Raw = _NOTHING


class _Error(msgspec.Struct):
    code: int | str | None = None


_chunks = msgspec.json.Decoder(_Chunk)
