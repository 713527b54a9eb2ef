from __future__ import annotations

import json
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gateway.fake_backend import stream_events

from headway.engines.engine import BackendGone, EngineError
from headway.gateway.answers.sse import EventRelay

STREAM = b"".join(stream_events("/v1/chat/completions", "m", include_usage=True))


def with_mark(usage: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    return {**usage, "headway": msgspec.Raw(b'"here"')}


def passed(stream: bytes, cuts: list[int], *, wants_usage: bool) -> tuple[bytes, EventRelay]:
    relay = EventRelay(wants_usage, with_mark)
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    out = b"".join(relay.feed(stream[a:b]) for a, b in pairwise(places))
    return out, relay


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 1 << 20)), crlf=st.booleans())
def test_block_boundaries_do_not_matter(cuts: list[int], crlf: bool) -> None:
    stream = STREAM.replace(b"\n", b"\r\n") if crlf else STREAM
    out, relay = passed(stream, cuts, wants_usage=False)
    assert out == b"".join(stream_events("/v1/chat/completions", "m", include_usage=False))
    assert relay.done
    assert relay.events == 101


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 1 << 20)))
def test_usage_gets_headway_s_part_where_it_was_asked_for(cuts: list[int]) -> None:
    out, _ = passed(STREAM, cuts, wants_usage=True)
    *_, last, done, rest = out.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    usage = json.loads(last[6:])["usage"]
    assert usage["headway"] == "here" and usage["completion_tokens"] == 100


def test_usage_that_comes_with_output_is_not_lost() -> None:
    event = b'data: {"choices":[{"text":"x"}],"usage":{"completion_tokens":1}}\n\n'
    out, relay = passed(event, [], wants_usage=False)
    assert out == event and relay.events == 1


def test_text_that_looks_like_an_event_is_none() -> None:
    text = json.dumps({"choices": [{"text": 'data: "usage":{ [DONE]\n\ndata: [DONE]'}]}).encode()
    event = b"data: " + text + b"\n\n"
    out, relay = passed(event, [], wants_usage=True)
    assert out == event and relay.events == 1 and not relay.done


def test_a_stream_that_breaks_off_is_not_done() -> None:
    out, relay = passed(STREAM[:200], [], wants_usage=True)
    assert not relay.done and STREAM.startswith(out)


def relayed(
    *events: bytes, choices: int = 1, wants_usage: bool = False
) -> tuple[bytes, EventRelay]:
    relay = EventRelay(wants_usage, with_mark, choices)
    return b"".join(map(relay.feed, events)), relay


def finish(index: int) -> bytes:
    choice = {"index": index, "delta": {}, "finish_reason": "stop"}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def test_a_finish_reason_for_every_choice_is_an_end() -> None:
    _, relay = relayed(finish(0), finish(1), choices=2)
    assert relay.end() == b"data: [DONE]\n\n"
    _, relay = relayed(finish(0), finish(0), choices=2)
    with pytest.raises(BackendGone, match="too early"):
        relay.end()


def test_what_comes_behind_the_end_is_dropped() -> None:
    out, relay = relayed(finish(0), b"data: [DONE]\n\n", b"data: [DONE]\n\ndata: more\n\n")
    assert out == finish(0) + b"data: [DONE]\n\n" and relay.end() == b""


def test_an_error_comes_behind_what_was_before_it() -> None:
    relay = EventRelay(False, with_mark)
    text = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    error = b'data: {"error":{"message":"out of memory","code":503}}\n\n'
    assert relay.feed(text + error) == text
    with pytest.raises(EngineError, match="out of memory") as raised:
        relay.end()
    assert raised.value.status == 503


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
@settings(deadline=None)
def test_whatever_comes_is_passed_on_whole_or_refused(noise: bytes, cuts: list[int]) -> None:
    stream = STREAM[:500] + noise + STREAM[500:]
    relay = EventRelay(False, with_mark)
    out = b""
    places = [0, *sorted(cut * 20 % (len(stream) + 1) for cut in cuts), len(stream)]
    try:
        for a, b in pairwise(places):
            out += relay.feed(stream[a:b])
        out += relay.end()
    except (BackendGone, EngineError):
        return
    assert out.endswith(b"data: [DONE]\n\n")
