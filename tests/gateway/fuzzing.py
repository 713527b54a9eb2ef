"""Requests that are almost valid, and answers of backends that are: for generated tests."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from tests.gateway.fake_backend import REPLIES, stream_events

CHAT = "/v1/chat/completions"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
VALID: list[tuple[str, dict[str, Any]]] = [
    (
        CHAT,
        {
            "model": "fake",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Hello!"}]},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 5,
            "temperature": 0.5,
            "stop": ["a", "b"],
            "tools": [TOOL],
            "tool_choice": "auto",
            "response_format": {"type": "json_object"},
            "metadata": {"headway_tenant": "a", "headway_tier": "batch"},
            "user": "ada",
        },
    ),
    (CHAT, {"model": "default", "messages": [{"role": "user", "content": "Hello!"}], "n": 1}),
    (
        "/v1/completions",
        {"model": "fake", "prompt": ["Once", "twice"], "max_tokens": 5, "logprobs": 1, "seed": 1},
    ),
    ("/v1/completions", {"model": "fake", "prompt": [1, 2, 3], "stream": True, "priority": 1}),
    ("/v1/embeddings", {"model": "text", "input": ["a cat", "an animal"], "dimensions": 2}),
    ("/v1/embeddings", {"model": "fake", "input": "a", "encoding_format": "base64"}),
    ("/v1/rerank", {"model": "text", "query": "a cat", "documents": ["a", {"text": "b"}]}),
    ("/v1/classify", {"model": "mood", "input": ["good", "bad"]}),
    ("/v1/models/later:predict", {"instances": ["good", "bad"]}),
    (
        "/v2/models/doubled/infer",
        {
            "id": "1",
            "inputs": [
                {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]},
                {"name": "z", "datatype": "INT64", "shape": [1], "data": [3]},
            ],
            "outputs": [{"name": "y"}],
        },
    ),
]
"""For `fake` on a backend, and `text`, `mood`, `later` and `doubled` of the gateway's own."""


def nested(depth: int) -> Any:
    value: Any = 0
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


NUMBERS = [0, -1, 1, 2**31, 2**63, -(2**64), 10**400, 0.1, -0.0, 1e308, float("nan"), float("inf")]
TEXTS = ["", "\x00", "\ud800", "\ufeff", "a\r\nb: c", "9" * 400, "a" * 10_000]
OTHERS = [None, True, False, [], {}, [[]], [None], {"": None}, nested(50), nested(200)]
JUNK = st.one_of(
    st.sampled_from([*NUMBERS, *TEXTS, *OTHERS]).map(copy.deepcopy),
    st.text(max_size=20),
    st.integers(),
    st.floats(),
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5) | st.floats(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where everything in `value` is."""
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    else:
        inner = []
    below = [place for key, each in inner for place in places(each, (*path, key))]
    return [path, *below] if path else below


@st.composite
def changed(draw: DrawFn, valid: Any) -> Any:
    """`valid` with one to four values replaced, repeated, dropped, added or wrapped."""
    value = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 4))):
        known = places(value)
        if not known:
            break
        *path, key = draw(st.sampled_from(known))
        holder = value
        for step in path:
            holder = holder[step]
        change = draw(st.sampled_from(["replace", "replace", "drop", "add", "wrap", "repeat"]))
        if change == "replace":
            holder[key] = draw(JUNK)
        elif change == "drop":
            del holder[key]
        elif change == "wrap":
            holder[key] = [holder[key]]
        elif isinstance(holder, dict):
            holder[draw(st.text(max_size=10))] = draw(JUNK)
        else:
            holder.extend([holder[key]] * draw(st.integers(1, 50)))
    return value


@st.composite
def spelled(draw: DrawFn, value: Any) -> bytes:
    """`value` as JSON that is odd or broken now and then."""
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    body = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        at = draw(st.integers(0, len(body)))
        change = draw(st.sampled_from(["flip", "cut", "insert", "duplicate"]))
        if change == "flip" and at < len(body):
            body[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "cut":
            del body[at:]
        elif change == "insert":
            body[at:at] = draw(st.binary(max_size=8))
        elif body.startswith(b"{"):
            key = draw(st.sampled_from(["model", "messages", "stream", "input", "max_tokens"]))
            again = json.dumps({key: draw(JUNK)})[1:-1] + ","
            body[1:1] = again.encode("utf-8", "surrogatepass")
    return bytes(body)


@st.composite
def requests(draw: DrawFn) -> tuple[str, bytes]:
    """A path, and a body that is almost valid there."""
    path, valid = draw(st.sampled_from(VALID))
    value = draw(changed(valid))
    return path, draw(spelled(value))


FIELDS = [b": comment", b"event: message", b"id: 1", b"retry: 1", b"data", b"data:", b"nonsense"]
DATA = [b"{}", b"null", b"[1]", b"[DONE]", b" [DONE]", b"{", b"", b"\xff\xfe", b"[" * 2000]
CHUNKS = [
    b'{"choices":[]}',
    b'{"choices":null,"usage":{}}',
    b'{"error":"x"}',
    b'{"usage":{"completion_tokens":-1}}',
    b'{"usage":{"completion_tokens":"x"}}',
]
LINES = st.sampled_from([*FIELDS, b"\xef\xbb\xbfdata: {}", *(b"data:" + d for d in DATA + CHUNKS)])


def _json_of(event: bytes) -> Any:
    """The object of an event; None if it is none, or was broken before."""
    try:
        return json.loads(event.removeprefix(b"data: ")) if b"{" in event else None
    except (ValueError, RecursionError):
        return None


@st.composite
def event_streams(draw: DrawFn, path: str = CHAT) -> list[bytes]:
    """Blocks of an event stream that is almost as OpenAI's are."""
    events = stream_events(path, "fake", include_usage=draw(st.booleans()))
    events = [*events[: draw(st.integers(0, 8))], *events[-3:]]
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(events) - 1))
        change = draw(st.sampled_from(["change", "drop", "repeat", "swap", "insert", "bytes"]))
        event = events[at]
        if change == "change" and (value := _json_of(event)) is not None:
            events[at] = b"data: " + draw(spelled(draw(changed(value)))) + b"\n\n"
        elif change == "drop" and len(events) > 1:
            del events[at]
        elif change == "repeat":
            events[at:at] = [event] * draw(st.integers(1, 3))
        elif change == "swap":
            events[at], events[0] = events[0], event
        elif change == "insert":
            lines = draw(st.lists(LINES, min_size=1, max_size=4))
            events.insert(at, b"\n".join(lines) + draw(st.sampled_from([b"\n\n", b"\n", b""])))
        else:
            events.insert(at, draw(st.binary(max_size=50)))
    stream = b"".join(events)
    end = draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]))
    return draw(blocks(stream.replace(b"\n", end)))


@st.composite
def restyled(draw: DrawFn) -> list[bytes]:
    """Blocks of a whole and valid event stream, written as the standard lets one write it."""
    events = stream_events(CHAT, "fake", include_usage=draw(st.booleans()))
    if draw(st.booleans()):  # its end is seen by finish_reason
        del events[-1]
    colon = draw(st.sampled_from([b"data:", b"data: "]))
    events = [colon + event.removeprefix(b"data: ") for event in events]
    for _ in range(draw(st.integers(0, 4))):
        line = draw(
            st.sampled_from([b": comment", b"event: message", b"id: 7", b"retry: 10", b":"])
        )
        at = draw(st.integers(0, len(events) - 1))
        events[at] = line + draw(st.sampled_from([b"\n", b"\n", b"\n\n"])) + events[at]
    stream = draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"\n", b": hello\n\n"])) + b"".join(events)
    stream = stream.replace(b"\n", draw(st.sampled_from([b"\n", b"\r\n", b"\r"])))
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@st.composite
def blocks(draw: DrawFn, stream: bytes) -> list[bytes]:
    """`stream` in blocks, and perhaps without its end."""
    if draw(st.integers(0, 4)) == 0:
        stream = stream[: draw(st.integers(0, len(stream)))]
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@st.composite
def backend_answers(draw: DrawFn) -> tuple[str, bool, list[bytes]]:
    """The path of a request, whether it asks for a stream, and what a backend answers it."""
    path = draw(st.sampled_from(list(REPLIES)))
    streamed = path != "/v1/embeddings" and draw(st.booleans())
    # Now and then the answer is of the other kind than the request.
    if streamed == (draw(st.integers(0, 9)) > 0) and path != "/v1/embeddings":
        kind, body = b"text/event-stream", draw(event_streams(path))
    else:
        value = draw(changed(REPLIES[path]("fake")))
        kind, body = b"application/json", draw(blocks(draw(spelled(value))))
    status = draw(st.sampled_from([200] * 8 + [201, 204, 302, 400, 404, 422, 429, 500, 503]))
    head = b"HTTP/1.1 %d X\r\nContent-Type: %b\r\nConnection: close\r\n\r\n" % (status, kind)
    return path, streamed, [head, *body]
