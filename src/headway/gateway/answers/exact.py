"""Builds answers from a generation that survives preemption and failing backends."""

from __future__ import annotations

import time
from contextlib import aclosing

import msgspec
from aiohttp import web

from headway.gateway.accounts.accounts import Accounts
from headway.gateway.answers.reply import Reply
from headway.gateway.answers.sse import DONE
from headway.gateway.api.errors import ApiError
from headway.gateway.api.wire import Usage
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.dispatch.slot import Slot
from headway.gateway.work.work import Work

_encode = msgspec.json.encode


class ExactResponder:
    """Builds OpenAI's answers and event streams from the text of a generation."""

    def __init__(self, dispatcher: Dispatcher, accounts: Accounts) -> None:
        self._dispatcher = dispatcher
        self._accounts = accounts

    async def answer(self, reply: Reply, slot: Slot) -> web.StreamResponse:
        """The response: whole, or a stream that was sent to its end. Its slot is free then.

        Raises:
            ApiError: the engine refuses the request, or it will not run (again), and no byte has
                reached the client.
        """
        return await (self._stream(reply, slot) if slot.work.stream else self._whole(reply, slot))

    async def _whole(self, reply: Reply, slot: Slot) -> web.StreamResponse:
        work = slot.work
        texts: list[str] = []
        finish_reason, stop_string = "stop", None
        async with aclosing(slot.generate()) as deltas:
            async for delta in deltas:
                texts.append(delta.text)
                if delta.finish_reason is not None:
                    finish_reason, stop_string = delta.finish_reason, delta.stop_string
        slot.finish()
        text = "".join(texts)
        choice: dict[str, object] = {"index": 0}
        if work.kind == "chat":
            choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        else:
            choice["text"] = text
        choice["logprobs"] = None
        choice["finish_reason"] = finish_reason
        if stop_string is not None:
            choice["stop_reason"] = stop_string
        answer = {
            "id": _id(work),
            "object": "chat.completion" if work.kind == "chat" else "text_completion",
            "created": int(time.time()),
            "model": work.asked_model,
            "choices": [choice],
            "usage": self._usage(work),
        }
        return reply.whole(_encode(answer), self._accounts.headers(work))

    async def _stream(self, reply: Reply, slot: Slot) -> web.StreamResponse:
        work = slot.work
        chunk = _Chunk(work)
        opened = False
        finish_reason, stop_string = "stop", None
        try:
            async with aclosing(slot.generate()) as deltas:
                async for delta in deltas:
                    if not opened:
                        opened = True
                        await reply.begin(self._accounts.headers(work))
                        if work.kind == "chat":
                            await reply.send(chunk.opening)
                    if delta.text:
                        await reply.send(chunk.head + _encode(delta.text) + chunk.tail)
                    if delta.finish_reason is not None:
                        finish_reason, stop_string = delta.finish_reason, delta.stop_string
        except ApiError as error:
            if reply.stream is None:
                raise
            work.turn.failure = error
            slot.leave()
            return await reply.fail(error)
        slot.finish()
        await reply.begin(self._accounts.headers(work))
        ending = chunk.closing(finish_reason, stop_string)
        if work.include_usage:
            ending += chunk.usage(self._usage(work))
        return await reply.end(ending + DONE)

    def _usage(self, work: Work) -> Usage:
        prompt_tokens = work.served.prompt_tokens or 0
        return Usage(
            prompt_tokens=prompt_tokens,
            completion_tokens=work.output_tokens,
            total_tokens=prompt_tokens + work.output_tokens,
            prompt_tokens_details={"cached_tokens": work.served.cached_tokens or 0},
            headway=self._accounts.usage(work, self._dispatcher.clock()),
        )


class _Chunk:
    """The events of one stream, encoded in advance except for the text."""

    __slots__ = ("_chat", "_null_usage", "_start", "head", "opening", "tail")

    def __init__(self, work: Work) -> None:
        chat = self._chat = work.kind == "chat"
        fields = {
            "id": _id(work),
            "object": "chat.completion.chunk" if chat else "text_completion",
            "created": int(time.time()),
            "model": work.asked_model,
        }
        self._start = b"data: " + _encode(fields)[:-1] + b',"choices":['
        # If usage was requested, OpenAI sends it as null in every event but the last.
        self._null_usage = b'],"usage":null}\n\n' if work.include_usage else b"]}\n\n"
        content = b'{"index":0,"delta":{"content":' if chat else b'{"index":0,"text":'
        close = b"}" if chat else b""
        self.head = self._start + content
        self.tail = close + b',"logprobs":null,"finish_reason":null}' + self._null_usage
        self.opening = (
            self._start
            + b'{"index":0,"delta":{"role":"assistant","content":""}'
            + b',"logprobs":null,"finish_reason":null}'
            + self._null_usage
        )

    def closing(self, finish_reason: str, stop_string: str | None) -> bytes:
        """The event that ends the text; vLLM's `stop_reason` names the stop string."""
        stopped = b"" if stop_string is None else b',"stop_reason":' + _encode(stop_string)
        empty = b'"delta":{}' if self._chat else b'"text":""'
        return (
            self._start
            + b'{"index":0,'
            + empty
            + b',"logprobs":null,"finish_reason":'
            + _encode(finish_reason)
            + stopped
            + b"}"
            + self._null_usage
        )

    def usage(self, usage: Usage) -> bytes:
        """The event with usage and without choices."""
        return self._start + b'],"usage":' + _encode(usage) + b"}\n\n"


def _id(work: Work) -> str:
    prefix = "chatcmpl" if work.kind == "chat" else "cmpl"
    return f"{prefix}-{work.request.id.removeprefix('req-')}"
