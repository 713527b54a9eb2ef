"""An OpenAI-compatible backend that fails on demand, in ten ways."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from typing import Any

WAYS = (
    "429",
    "500",
    "503",
    "reset",
    "hang",
    "slow",
    "garbage",
    "half a stream",
    "wrong JSON",
    "TLS only",
)
TOKENS = 20
EVENT_PAUSE_S = 0.025
SLOW_S = 3.0
TLS_ALERT = b"\x15\x03\x03\x00\x02\x02\x0a"
"""What a TLS server says to plain HTTP: unexpected message."""


def answer_to(prompt: str) -> str:
    """The right answer to `prompt`."""
    return "".join(f"{prompt}.{number} " for number in range(TOKENS))


class FaultyBackend:
    """One such server on a port of its own.

    Args:
        model: name of the model that it lists.
        chance: which fault a request meets.
    """

    def __init__(self, model: str, chance: random.Random) -> None:
        self._model = model
        self._chance = chance
        self.failing = 0.0
        """Share of its requests that fail."""
        self.probes_fail = False
        """Whether its list of models fails with them."""
        self.asked_s: list[float] = []
        """When each request for an answer came, by time.monotonic."""
        self.faults: Counter[str] = Counter()
        """Requests that failed, by the way in which they did."""
        self._server: asyncio.Server | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line[15:])
                body = await reader.readexactly(length)
                if head.startswith(b"GET"):
                    self._list(writer)
                else:
                    way = self._way()
                    if way == "hang":
                        await reader.read()  # until its client leaves
                        return
                    path = head.split(b" ")[1].decode()
                    await self._answer(path, json.loads(body), way, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _list(self, writer: asyncio.StreamWriter) -> None:
        if self.probes_fail:
            raise ConnectionResetError
        model = {"id": self._model, "object": "model", "created": 1, "owned_by": "bench"}
        writer.write(_whole(200, {"object": "list", "data": [model]}))

    def _way(self) -> str:
        """How the next request fails; empty if it does not."""
        self.asked_s.append(time.monotonic())
        if self._chance.random() >= self.failing:
            return ""
        way = self._chance.choice(WAYS)
        self.faults[way] += 1
        return way

    async def _answer(
        self, path: str, body: dict[str, Any], way: str, writer: asyncio.StreamWriter
    ) -> None:
        chat, stream = path.endswith("/chat/completions"), bool(body.get("stream"))
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        if way in {"429", "500", "503"}:
            error = {"message": "the bench says so", "type": "server_error", "code": None}
            headers = "Retry-After: 1\r\n" if self._chance.random() < 0.5 else ""
            writer.write(_whole(int(way), {"error": error}, headers))
            return
        if way == "reset":
            writer.transport.abort()
            raise ConnectionResetError
        if way == "slow":
            await asyncio.sleep(SLOW_S)
        if way == "garbage":
            writer.write(self._chance.randbytes(300))
            raise ConnectionResetError
        if way == "TLS only":
            writer.write(TLS_ALERT)
            raise ConnectionResetError
        if stream:
            await self._stream(chat, prompt, bool(body.get("stream_options")), way, writer)
        else:
            await asyncio.sleep(TOKENS * EVENT_PAUSE_S)
            whole = _whole(200, _completion(chat, self._model, answer_to(prompt)))
            if way == "half a stream":
                writer.write(whole[: len(whole) // 2])
                raise ConnectionResetError
            if way == "wrong JSON":
                whole = _whole(200, self._chance.choice([[], {"detail": "busy"}, None, "{"]))
            writer.write(whole)

    async def _stream(
        self, chat: bool, prompt: str, usage: bool, way: str, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        if way == "wrong JSON":
            _event(writer, b'{"choices": [{"delta": {"content": ')
            raise ConnectionResetError
        for number in range(TOKENS):
            if way == "half a stream" and number == TOKENS // 2:
                raise ConnectionResetError
            _event(writer, _chunk(chat, self._model, f"{prompt}.{number} "))
            await writer.drain()
            await asyncio.sleep(EVENT_PAUSE_S)
        _event(writer, _chunk(chat, self._model, None))
        if usage:
            counts = {"prompt_tokens": 3, "completion_tokens": TOKENS, "total_tokens": TOKENS + 3}
            last = json.loads(_chunk(chat, self._model, None)) | {"choices": [], "usage": counts}
            _event(writer, json.dumps(last).encode())
        _event(writer, b"[DONE]")
        writer.write(b"0\r\n\r\n")


def _completion(chat: bool, model: str, text: str) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": None}
    choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    counts = {"prompt_tokens": 3, "completion_tokens": TOKENS, "total_tokens": TOKENS + 3}
    kind = "chat.completion" if chat else "text_completion"
    head = {"id": "bench", "object": kind, "created": 1, "model": model}
    return head | {"choices": [choice], "usage": counts}


def _chunk(chat: bool, model: str, text: str | None) -> bytes:
    """One event; the last one if `text` is None."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop" if text is None else None}
    if chat:
        choice["delta"] = {} if text is None else {"content": text}
    else:
        choice["text"] = text or ""
    kind = "chat.completion.chunk" if chat else "text_completion"
    head = {"id": "bench", "object": kind, "created": 1, "model": model}
    return json.dumps(head | {"choices": [choice]}).encode()


def _event(writer: asyncio.StreamWriter, data: bytes) -> None:
    event = b"data: " + data + b"\n\n"
    writer.write(b"%x\r\n%b\r\n" % (len(event), event))


def _whole(status: int, answer: object, headers: str = "") -> bytes:
    body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
