"""Answers passed through from a backend's own OpenAI API."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

from headway.engines.engine import BackendGone, ForwardedResponse
from headway.gateway.accounts import Accounts
from headway.gateway.answer_tokens import answer_tokens
from headway.gateway.dispatcher import Dispatcher
from headway.gateway.errors import backend_lost, from_engine
from headway.gateway.reply import Reply
from headway.gateway.sse import EventRelay
from headway.gateway.work import Work

TRANSIENT = frozenset((502, 503, 504))
"""A backend that answers so is not able to answer anybody: the next run may go elsewhere."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_INT = msgspec.json.Decoder(int)
_TRUE = msgspec.Raw(b"true")


class Forwarder:
    """Runs requests that cannot be continued exactly: what goes out is the backend's answer."""

    def __init__(self, dispatcher: Dispatcher, accounts: Accounts) -> None:
        self._dispatcher = dispatcher
        self._accounts = accounts

    async def answer(self, reply: Reply, work: Work) -> web.StreamResponse:
        """The response, whole or streamed to its end. The slot is free when it returns.

        Raises:
            ApiError: the backend's own error, or it broke before a byte reached the client.
        """
        while True:
            try:
                upstream = await self._open(work)
                if not work.stream:
                    return await self._whole(reply, work, upstream)
                blocks = upstream.chunks()
                try:
                    first = await anext(blocks, b"")
                except BaseException:
                    upstream.close()
                    raise
            except BackendGone as error:
                await self._dispatcher.failed(work, error)
                continue
            return await self._relay(reply, work, upstream, first, blocks)

    async def _open(self, work: Work) -> ForwardedResponse:
        engine = await self._dispatcher.turn(work)
        upstream = await engine.forward(work.path, self._body(work))
        if upstream.status == 200:
            return upstream
        try:
            detail = await upstream.read()
        finally:
            upstream.close()
        if upstream.status in TRANSIENT:
            raise BackendGone(f"it answered {upstream.status}")
        raise from_engine(upstream.status, detail)

    def _body(self, work: Work) -> bytes:
        """What to send: the client's own bytes wherever they will do."""
        sent = work.fields
        if work.stream and not work.include_usage:
            options = {**_object(sent.get("stream_options")), "include_usage": _TRUE}
            sent = {**sent, "stream_options": msgspec.Raw(msgspec.json.encode(options))}
        description = self._dispatcher.statuses[work.backend].description
        if "priority" in sent and (description is None or not description.priority):
            sent = {name: value for name, value in sent.items() if name != "priority"}
        model = work.origin.model
        own_name = model if description is None else description.own_name(model)
        if own_name != model:
            sent = {**sent, "model": msgspec.Raw(msgspec.json.encode(own_name))}
        if sent is work.fields and not work.renamed:
            return work.body
        return msgspec.json.encode(sent)

    async def _whole(
        self, reply: Reply, work: Work, upstream: ForwardedResponse
    ) -> web.StreamResponse:
        try:
            body = await upstream.read()
        finally:
            upstream.close()
        self._dispatcher.progress(work, 0)
        try:
            answer = _OBJECT.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BackendGone("its answer is no JSON object") from None
        reported = _object(answer.get("usage"))
        if work.kind is not None and "completion_tokens" not in reported:
            work.output_tokens = answer_tokens(body)
        usage = self._with_headway(work, reported)
        answer["usage"] = msgspec.Raw(msgspec.json.encode(usage))
        self._dispatcher.release(work, finished=True)
        return reply.whole(msgspec.json.encode(answer), self._accounts.headers(work))

    async def _relay(
        self,
        reply: Reply,
        work: Work,
        upstream: ForwardedResponse,
        first: bytes,
        blocks: AsyncIterator[bytes],
    ) -> web.StreamResponse:
        relay = EventRelay(work.include_usage, lambda usage: self._with_headway(work, usage))
        try:
            await reply.begin(self._accounts.headers(work))
            out = self._feed(work, relay, first)
            if out:
                await reply.send(out)
            try:
                async for block in blocks:
                    out = self._feed(work, relay, block)
                    if out:
                        await reply.send(out)
                if not relay.done:
                    raise BackendGone("the stream ended too early")
            except BackendGone as error:
                work.failure = backend_lost(work.served_by, str(error))
                self._dispatcher.lost(work, error)
        finally:
            upstream.close()
        self._dispatcher.release(work, finished=work.failure is None)
        return await (reply.end() if work.failure is None else reply.fail(work.failure))

    def _feed(self, work: Work, relay: EventRelay, block: bytes) -> bytes:
        before = relay.events
        out = relay.feed(block)
        # One event is about one token; the backend's own count comes at the end.
        self._dispatcher.progress(work, relay.events - before)
        return out

    def _with_headway(self, work: Work, usage: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
        """The backend's usage object, taken note of, with Headway's part."""
        work.prompt_tokens = _count(usage, "prompt_tokens")
        produced = _count(usage, "completion_tokens")
        if produced is not None:
            work.output_tokens = produced
        details = _object(usage.get("prompt_tokens_details"))
        work.cached_tokens = _count(details, "cached_tokens")
        mine = self._accounts.usage(work, self._dispatcher.clock())
        usage["headway"] = msgspec.Raw(msgspec.json.encode(mine))
        return usage


def _object(raw: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    """The fields of `raw`; none if it is not an object."""
    if raw is None:
        return {}
    try:
        return _OBJECT.decode(raw)
    except msgspec.DecodeError:
        return {}


def _count(fields: dict[str, msgspec.Raw], name: str) -> int | None:
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return _INT.decode(raw)
    except msgspec.DecodeError:
        return None
