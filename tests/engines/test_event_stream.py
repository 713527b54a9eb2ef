"""EventStreamParser: server-sent events by the standard, however their bytes are split."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.engines.event_stream import Event, EventStreamParser

FRAGMENTS = [
    b"data: x\n\n",
    b"data: x\r\n\r\n",
    b"data",
    b"event",
    b"error",
    b"id",
    b"retry",
    b": ",
    b":",
    b" ",
    b"\r",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"\xef\xbb\xbf",
    b"\xef",
    b"\xbb",
    b"{}",
    b"\0",
    b"\xc3\xa9",
    b"",
]
streams = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=4), max_size=30).map(b"".join)


def reference(stream: bytes) -> list[Event]:
    """The standard's words, one after the other, on the whole stream."""
    lines = re.split(rb"\r\n|\r|\n", stream.removeprefix(b"\xef\xbb\xbf"))
    events = []
    data: bytes | None = None
    comment: bytes | None = None
    kind = b""
    for line in [*lines, b""]:
        if line == b"":
            if data is not None or comment is not None:
                events.append(Event(data, kind, comment))
            data, comment, kind = None, None, b""
            continue
        name, value = line.split(b":", 1) if b":" in line else (line, b"")
        if value[:1] == b" ":
            value = value[1:]
        if name in (b"data", b"error"):
            data = value if data is None else data + b"\n" + value
        if name in (b"event", b"error"):
            kind = b"error" if name == b"error" else value
        if name == b"":
            comment = value if comment is None else comment + b"\n" + value
    return events


def parse(blocks: list[bytes]) -> list[Event]:
    parser = EventStreamParser()
    events = [event for block in blocks for event in parser.feed(block)]
    return events + parser.close()


@settings(max_examples=1000, deadline=None)
@given(streams, st.data())
def test_any_stream_split_anywhere_gives_the_same_events(
    stream: bytes, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    blocks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parse(blocks) == reference(stream)


@settings(max_examples=300, deadline=None)
@given(streams)
def test_byte_by_byte_is_the_same_as_at_once(stream: bytes) -> None:
    assert parse([bytes([byte]) for byte in stream]) == parse([stream]) == reference(stream)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [Event(b"a"), Event(b"b")]),
        (b"data:a\n\n", [Event(b"a")]),
        (b"data:  a\n\n", [Event(b" a")]),
        (b"data: a\rdata: b\r\r", [Event(b"a\nb")]),
        (b"data: a\r\n\r\n", [Event(b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event(b"a")]),
        (b"data\n\n", [Event(b"")]),
        (b"event: delta\ndata: a\n\n", [Event(b"a", b"delta")]),
        (b"event: nothing\n\ndata: a\n\n", [Event(b"a")]),
        (b": waiting\n\n", [Event(comment=b"waiting")]),
        (b": waiting\ndata: a\n\n", [Event(b"a", comment=b"waiting")]),
        (b"id: 1\nretry: 9\nanything: x\ndata: a\n\n", [Event(b"a")]),
        (b"data: a\n\n\n\n\ndata: b\n\n", [Event(b"a"), Event(b"b")]),
        (b'error: {"code": 500}\n\n', [Event(b'{"code": 500}', b"error")]),
        (b"data: a", [Event(b"a")]),
        (b"data: a\n", [Event(b"a")]),
        (b"", []),
    ],
)
def test_examples(stream: bytes, events: list[Event]) -> None:
    assert parse([stream]) == reference(stream) == events


def test_an_event_comes_with_its_blank_line_and_no_later() -> None:
    parser = EventStreamParser()
    assert parser.feed(b"data: a\r") == []
    assert parser.feed(b"\n\r") == [Event(b"a")]
    assert parser.feed(b"\ndata: b\n") == []
    assert parser.feed(b"\n") == [Event(b"b")]
    assert parser.close() == []


def test_a_long_line_in_many_pieces_is_not_copied_for_each() -> None:
    parser = EventStreamParser()
    for _ in range(200_000):
        parser.feed(b"data: x")
    (event,) = parser.feed(b"\n\n")
    assert event.data is not None and len(event.data) == 7 * 200_000 - 6
