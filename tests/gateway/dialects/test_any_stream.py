"""Streams of any shape, cut anywhere, become the events of a whole answer."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.dialects.chunks import call, chunks, completion, sent

from headway.gateway.dialects.messages import Messages
from headway.gateway.dialects.responses import Responses
from headway.gateway.dialects.responses_request import read

Piece = tuple[str, str]

PIECES: st.SearchStrategy[list[Piece]] = st.lists(
    st.tuples(st.sampled_from(["text", "reasoning", "new call", "more call"]), st.text(max_size=4)),
    max_size=12,
)
CUTS = st.lists(st.integers(0, 20), max_size=4)


def deltas(pieces: list[Piece]) -> tuple[list[Any], dict[str, Any]]:
    """The deltas of a stream, and the whole message that they make."""
    found: list[Any] = []
    message: dict[str, Any] = {"content": "", "reasoning_content": "", "tool_calls": []}
    calls = message["tool_calls"]
    for kind, text in pieces:
        if kind == "text":
            found.append({"content": text or " "})
            message["content"] += text or " "
        elif kind == "reasoning":
            found.append({"reasoning_content": text or " "})
            message["reasoning_content"] += text or " "
        elif kind == "new call":
            found.append(call(len(calls), "", f"c{len(calls)}", "f"))
            calls.append({"id": f"c{len(calls)}", "function": {"name": "f", "arguments": ""}})
        elif found and "tool_calls" in found[-1]:
            found.append(call(len(calls) - 1, json.dumps(text)[1:-1]))
            calls[-1]["function"]["arguments"] += json.dumps(text)[1:-1]
    return found, message


def blocks(events: list[bytes], cuts: list[int]) -> list[bytes]:
    """The events, several at a time."""
    places = [0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]
    return [b"".join(events[a:b]) for a, b in pairwise(places) if events[a:b]]


@given(PIECES, CUTS)
def test_messages(pieces: list[Piece], cuts: list[int]) -> None:
    found, message = deltas(pieces)
    request = {"model": "m", "max_tokens": 9, "stream": True, "thinking": {"type": "adaptive"}}
    request["messages"] = [{"role": "user", "content": "x"}]
    dialect = Messages(json.dumps(request).encode())
    parts = blocks(chunks(*found), cuts)
    events = sent(b"".join(map(dialect.events.feed, parts)) + dialect.events.end())
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]
    texts = {"thinking": "", "text": "", "tool_use": ""}
    open_block, indexes = None, []
    for event in events:
        if event["type"] == "content_block_start":
            assert open_block is None
            open_block = event["content_block"]["type"]
            indexes.append(event["index"])
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            assert event["index"] == indexes[-1] and open_block is not None
            texts[open_block] += next(
                delta[name] for name in ("thinking", "text", "partial_json") if name in delta
            )
        elif event["type"] == "content_block_stop":
            assert open_block is not None and event["index"] == indexes[-1]
            open_block = None
    assert open_block is None and indexes == list(range(len(indexes)))
    assert texts == {
        "thinking": message["reasoning_content"],
        "text": message["content"],
        "tool_use": "".join(one["function"]["arguments"] for one in message["tool_calls"]),
    }


@given(PIECES, CUTS)
def test_responses(pieces: list[Piece], cuts: list[int]) -> None:
    found, message = deltas(pieces)

    def dialect(stream: bool) -> Responses:
        return Responses(*read(json.dumps({"model": "m", "input": "x", "stream": stream}).encode()))

    streaming = dialect(True)
    parts = blocks(chunks(*found), cuts)
    events = sent(b"".join(map(streaming.events.feed, parts)) + streaming.events.end())
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[0]["type"] == "response.created"
    assert events[-1]["type"] == "response.completed"
    output = events[-1]["response"]["output"]
    added = [e["item"]["id"] for e in events if e["type"] == "response.output_item.added"]
    done = [e["item"] for e in events if e["type"] == "response.output_item.done"]
    assert done == output and added == [item["id"] for item in output]
    whole = json.loads(dialect(False).answer(completion(message)))["output"]
    assert _texts(output) == _texts(whole)


def _texts(output: list[dict[str, Any]]) -> dict[str, list[str] | str]:
    """What items of each type say, however many they are."""
    said: dict[str, Any] = {"message": "", "reasoning": "", "function_call": []}
    for item in output:
        if item["type"] == "function_call":
            said["function_call"].append((item["call_id"], item["arguments"]))
        else:
            said[item["type"]] += "".join(part["text"] for part in item["content"])
    return said
