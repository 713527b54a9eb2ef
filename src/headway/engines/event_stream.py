"""Parses server-sent events as in the HTML standard."""

from __future__ import annotations

import msgspec

_BOM = b"\xef\xbb\xbf"


class Event(msgspec.Struct, frozen=True, gc=False):
    """The lines up to one blank line."""

    data: bytes | None = None
    """The values of its `data` lines, joined by newlines; None if there are none."""
    type: bytes = b""
    """The value of its `event` line."""
    comment: bytes | None = None
    """Its comment lines, joined by newlines; None if there are none."""


class EventStreamParser:
    """Turns the blocks of an event stream, split anywhere, into events.

    Lines end in CR, LF or CRLF, and a byte order mark may come first. Two things go beyond the
    standard: comments are kept, because a proxy passes them on, and a line `error: …` becomes
    an event of type `error`, because older llama.cpp servers report errors that way.
    """

    __slots__ = ("_after_cr", "_comments", "_data", "_inside", "_rest", "_started", "_type")

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        """Pieces of an unfinished line."""
        self._after_cr = False
        """Whether the last byte was a CR; a following LF belongs to it."""
        self._started = False
        """Whether the position of the byte order mark has been passed."""
        self._inside = False
        """Whether there was a line since the last blank one."""
        self._data: list[bytes] = []
        self._comments: list[bytes] = []
        self._type = b""

    def feed(self, block: bytes) -> list[Event]:
        """The events that `block` completes."""
        if self._after_cr or b"\r" in block:
            block = self._with_newlines(block)
        if not self._started:
            block = self._without_mark(block)
        if not block:
            return []
        events: list[Event] = []
        if block.endswith(b"\n\n") and not self._inside and not self._rest:
            # Fast path: nearly every block is one or more whole events of one line each.
            for part in block[:-2].split(b"\n\n"):
                if part.startswith(b"data: ") and b"\n" not in part:
                    events.append(Event(part[6:]))
                else:
                    for line in part.split(b"\n"):
                        self._line(line, events)
                    self._dispatch(events)
            return events
        whole, newline, rest = block.rpartition(b"\n")
        if newline:
            if self._rest:
                whole = b"".join((*self._rest, whole))
                self._rest = []
            for line in whole.split(b"\n"):
                self._line(line, events)
        if rest:
            self._rest.append(rest)
        return events

    def close(self) -> list[Event]:
        """The last event, if the stream ended without the blank line after it."""
        events: list[Event] = []
        if self._rest:
            self._line(b"".join(self._rest), events)
            self._rest = []
        self._dispatch(events)
        return events

    def _with_newlines(self, block: bytes) -> bytes:
        """`block` with LF as its only line ending."""
        if self._after_cr and block:
            block = block.removeprefix(b"\n")
            self._after_cr = False
        if block:
            self._after_cr = block.endswith(b"\r")
        return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _without_mark(self, block: bytes) -> bytes:
        """The first `block` without its byte order mark; empty while that may be incomplete."""
        block = b"".join((*self._rest, block))
        if len(block) < len(_BOM) and _BOM.startswith(block):
            self._rest = [block] if block else []
            return b""
        self._started = True
        self._rest = []
        return block.removeprefix(_BOM)

    def _line(self, line: bytes, events: list[Event]) -> None:
        if not line:
            self._dispatch(events)
            return
        self._inside = True
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif not name:
            self._comments.append(value)
        elif name == b"event":
            self._type = value
        elif name == b"error":
            self._data.append(value)
            self._type = name

    def _dispatch(self, events: list[Event]) -> None:
        data, comments = self._data, self._comments
        if data or comments:
            events.append(
                Event(
                    b"\n".join(data) if data else None,
                    self._type,
                    b"\n".join(comments) if comments else None,
                )
            )
            self._data, self._comments = [], []
        self._type = b""
        self._inside = False
