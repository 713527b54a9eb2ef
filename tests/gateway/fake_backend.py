"""A backend that speaks OpenAI's API, answers at once, and fails on demand.

    python fake_backend.py PORT [--pause S] [--hold]     serves until it is stopped

`--pause` is the time between the events of a stream, `--hold` answers nothing at all.

It is a bare asyncio protocol, so that a benchmark measures the gateway and not this.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any, cast

Fault = tuple[int, dict[str, Any]] | tuple[int, dict[str, Any], dict[str, str]] | str
"""An error answer, with headers; "break" the connection; "hang" without an answer."""
WORDS = [f"word{number} " for number in range(100)]
"""The answer to everything: a hundred tokens."""


def chat_reply(model: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "".join(WORDS)},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 100, "total_tokens": 107},
    }


def completion_reply(model: str) -> dict[str, Any]:
    choice = {"index": 0, "text": "".join(WORDS), "logprobs": None, "finish_reason": "stop"}
    return chat_reply(model) | {"object": "text_completion", "choices": [choice]}


def embedding_reply(model: str) -> dict[str, Any]:
    vector = {"object": "embedding", "index": 0, "embedding": [0.25, 0.5, 0.75]}
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    return {"object": "list", "model": model, "data": [vector], "usage": usage}


REPLIES = {
    "/v1/chat/completions": chat_reply,
    "/v1/completions": completion_reply,
    "/v1/embeddings": embedding_reply,
}


def stream_events(path: str, model: str, include_usage: bool) -> list[bytes]:
    chat = path == "/v1/chat/completions"
    head: dict[str, Any] = {"id": "chatcmpl-fake", "created": 1, "model": model}
    head["object"] = "chat.completion.chunk" if chat else "text_completion"
    events: list[dict[str, Any]] = []
    for word in WORDS:
        choice: dict[str, Any] = {"index": 0, "finish_reason": None}
        delta = {"content": word} if events else {"role": "assistant", "content": word}
        choice |= {"delta": delta} if chat else {"text": word}
        events.append(head | {"choices": [choice]})
    last: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
    last |= {"delta": dict[str, str]()} if chat else {"text": ""}
    events.append(head | {"choices": [last]})
    if include_usage:
        usage = {"prompt_tokens": 7, "completion_tokens": 100, "total_tokens": 107}
        events.append(head | {"choices": [], "usage": usage})
    lines = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    return [*lines, b"data: [DONE]\n\n"]


def message_choice(message: dict[str, Any]) -> dict[str, Any]:
    reason = "tool_calls" if "tool_calls" in message else "stop"
    return {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}


def message_events(model: str, message: dict[str, Any]) -> list[bytes]:
    """A message in a stream: its text in one piece, the arguments of its tool calls in two."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": message.get("content") or ""}]
    for index, call in enumerate(message.get("tool_calls", ())):
        function = call["function"]
        half = len(function["arguments"]) // 2
        parts: list[dict[str, Any]] = [
            call | {"function": function | {"arguments": function["arguments"][:half]}},
            {"function": {"arguments": function["arguments"][half:]}},
        ]
        deltas += [{"tool_calls": [part | {"index": index}]} for part in parts]
    head = {"id": "chatcmpl-fake", "created": 1, "model": model, "object": "chat.completion.chunk"}
    events: list[dict[str, Any]] = [
        head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    reason = message_choice(message)["finish_reason"]
    events.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    usage = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}
    events.append(head | {"choices": [], "usage": usage})
    lines = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    return [*lines, b"data: [DONE]\n\n"]


class FakeBackend:
    """One such server; its attributes may be changed while it runs."""

    def __init__(self, model: str = "fake", *, record: bool = True) -> None:
        self.model = model
        self.inputs: list[str] | None = None
        """What it says that its model takes; None: it does not say."""
        self.requests: list[tuple[str, dict[str, Any]]] = []
        """Path and body of every POST, in order."""
        self.heads: list[dict[str, str]] = []
        """The headers of every POST, by name in lower case."""
        self.open = asyncio.Event()
        """Cleared: POSTs are held until it is set."""
        self.open.set()
        self.faults: deque[Fault] = deque()
        """One for each of the next POSTs."""
        self.refuses: Callable[[dict[str, Any]], Fault | None] = lambda body: None
        """The fault that a POST of this body meets."""
        self.pieces: list[bytes] | None = None
        """What every stream is made of instead."""
        self.headers: dict[str, str] = {}
        """Of every stream."""
        self.message: dict[str, Any] | None = None
        """The answer to every chat instead of the hundred words, tool calls included."""
        self.break_after: int | None = None
        """Streams are cut after so many events."""
        self.hold_after: int | None = None
        """Streams wait for `resume` after so many events."""
        self.resume = asyncio.Event()
        self.event_pause_s = 0.0
        self.script: list[bytes] | None = None
        """What the next POST gets instead, block by block, before its connection ends."""
        self.running = 0
        self.aborted = 0
        """Requests whose client went away."""
        self._record = record
        self._cache: dict[Any, Any] = {}
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", port or self.port, backlog=4096
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Go away at once, like a killed process; `start` brings it back on the same port."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.abort()


class _Connection(asyncio.Protocol):
    def __init__(self, backend: FakeBackend) -> None:
        self.backend = backend
        self.received = b""
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.backend._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.backend._connections.discard(self)
        if self.task is not None and not self.task.done():
            self.backend.aborted += 1
            self.task.cancel()

    def abort(self) -> None:
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.received += data
        while True:
            head, separator, rest = self.received.partition(b"\r\n\r\n")
            if not separator:
                return
            length = 0
            at = head.lower().find(b"\r\ncontent-length:")
            if at >= 0:
                length = int(head[at + 17 :].split(b"\r\n", 1)[0])
            if len(rest) < length:
                return
            method, path, _ = head.split(b" ", 2)
            self.received = rest[length:]
            if self.backend._record and method == b"POST":
                lines = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:]]
                self.backend.heads.append({n.decode().lower(): v.decode() for n, v in lines})
            self.answer(method.decode(), path.decode(), rest[:length])

    def answer(self, method: str, path: str, body: bytes) -> None:
        backend = self.backend
        if method == "GET":
            if path == "/v1/models":
                model = {"id": backend.model, "object": "model", "created": 1, "owned_by": "fake"}
                if backend.inputs is not None:
                    model["architecture"] = {"input_modalities": backend.inputs}
                self.reply(200, json.dumps({"object": "list", "data": [model]}).encode())
            else:
                self.reply(200 if path == "/health" else 404, b"{}")
            return
        if path not in REPLIES:
            self.reply(404, b'{"error":{"message":"no such path","code":404}}')
            return
        if backend.script is not None:
            script, backend.script = backend.script, None
            self.task = asyncio.ensure_future(self.play(script))
            return
        stream = b'"stream":true' in body or b'"stream": true' in body
        if backend._record:
            backend.requests.append((path, json.loads(body)))
        elif not stream:
            whole = backend._cache.get(path)
            if whole is None:
                answer = json.dumps(REPLIES[path](backend.model)).encode()
                whole = backend._cache[path] = _http(200, answer)
            self.transport.write(whole)
            return
        self.task = asyncio.ensure_future(self.answer_slowly(path, json.loads(body), stream))

    async def answer_slowly(self, path: str, body: dict[str, Any], stream: bool) -> None:
        backend = self.backend
        backend.running += 1
        try:
            await backend.open.wait()
            fault = backend.faults.popleft() if backend.faults else backend.refuses(body)
            if fault == "hang":
                await asyncio.Event().wait()
            if fault is not None:
                if isinstance(fault, str):
                    self.abort()
                else:
                    status, answer, *headers = fault
                    self.transport.write(_http(status, json.dumps(answer).encode(), *headers))
                return
            if stream:
                await self.stream(path, body)
            else:
                if backend.event_pause_s:
                    await asyncio.sleep(backend.event_pause_s * len(WORDS))
                reply = REPLIES[path](backend.model)
                if backend.message is not None:
                    reply["choices"] = [message_choice(backend.message)]
                self.reply(200, json.dumps(reply).encode())
        finally:
            backend.running -= 1

    async def play(self, script: list[bytes]) -> None:
        for block in script:
            self.transport.write(block)
            await asyncio.sleep(0)
        self.transport.close()

    async def stream(self, path: str, body: dict[str, Any]) -> None:
        backend = self.backend
        include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        key = (path, include_usage)
        events = backend._cache.get(key)
        if backend.pieces is not None:
            events = backend.pieces
        elif backend.message is not None:
            events = message_events(backend.model, backend.message)
        elif events is None:
            events = backend._cache[key] = stream_events(path, backend.model, include_usage)
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n%b\r\n" % _lines(backend.headers)
        )
        for number, event in enumerate(events):
            if number == backend.break_after:
                self.abort()
                return
            if number == backend.hold_after:
                await backend.resume.wait()
            self.transport.write(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(backend.event_pause_s)
        self.transport.write(b"0\r\n\r\n")

    def reply(self, status: int, body: bytes) -> None:
        self.transport.write(_http(status, body))


def _http(status: int, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b"
    return head % (status, len(body), _lines(headers or {}), body)


def _lines(headers: dict[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()


if __name__ == "__main__":
    import uvloop

    async def main() -> None:
        options = argparse.ArgumentParser()
        options.add_argument("port", type=int)
        options.add_argument("--pause", type=float, default=0.0)
        options.add_argument("--hold", action="store_true")
        given = options.parse_args()
        backend = FakeBackend(record=given.hold)
        backend.event_pause_s = given.pause
        if given.hold:
            backend.open.clear()
        await backend.start(given.port)
        await asyncio.Event().wait()

    uvloop.run(main())
