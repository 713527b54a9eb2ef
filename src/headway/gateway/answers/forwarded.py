"""Passes on answers from a backend's OpenAI API."""

from __future__ import annotations

import logging
import time

import msgspec
from aiohttp import web

from headway.engines.engine import BackendGone, EngineError, ForwardedResponse
from headway.engines.llamacpp_request import as_read
from headway.engines.reported import reported_count
from headway.gateway.accounts.accounts import Accounts
from headway.gateway.answers.answer_tokens import answer_bytes, answer_tokens
from headway.gateway.answers.refusals import refused
from headway.gateway.answers.repeats import HEADER
from headway.gateway.answers.reply import Reply
from headway.gateway.answers.several import Several
from headway.gateway.answers.sse import EventRelay
from headway.gateway.api.errors import ApiError, backend_lost, from_engine
from headway.gateway.api.upstream_headers import passed_on
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.dispatch.slot import Slot
from headway.gateway.work.work import Work

logger = logging.getLogger(__name__)

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TRUE = msgspec.Raw(b"true")


class Forwarder:
    """Runs requests that cannot be continued exactly, and passes on the backend's answer."""

    def __init__(self, dispatcher: Dispatcher, accounts: Accounts) -> None:
        self._dispatcher = dispatcher
        self._accounts = accounts
        self._refuse_usage: set[str] = set()
        """Backends that refuse `stream_options`: they send no usage, so events are counted."""

    async def answer(self, reply: Reply, slot: Slot) -> web.StreamResponse:
        """The response: whole, or a stream that was sent to its end. Its slot is free then.

        Raises:
            ApiError: the backend answered with an error, or failed before a byte reached the
                client.
        """
        while True:
            try:
                upstream = await self._open(slot)
                try:
                    if not slot.work.stream:
                        return await self._whole(reply, slot, upstream)
                    relay = self._relay(slot.work)
                    first = await self._first(slot, relay, upstream)
                except BaseException:
                    upstream.close()
                    raise
            except (BackendGone, EngineError) as error:
                await slot.failed(error)
                continue
            return await self._pass_on(reply, slot, relay, upstream, first)

    async def _open(self, slot: Slot) -> ForwardedResponse:
        """A response with status 200. Raises ApiError, EngineError and BackendGone."""
        work = slot.work
        engine = await slot.engine()
        backend = work.served.backend
        headers = work.trace
        if work.idempotency_key is not None:
            headers = {**headers, HEADER: work.idempotency_key}
        while True:
            sent = self._body(work)
            upstream = await slot.read(engine.forward(work.path, sent, headers))
            if work.turn.activity is not None:
                work.turn.activity.heard(time.monotonic())
            if upstream.status == 200:
                return upstream
            try:
                detail = await slot.read(upstream.read())
            finally:
                upstream.close()
            if (
                upstream.status in (400, 422)
                and b"stream_options" in detail
                and sent is not work.body
                and "stream_options" not in work.fields
                and backend not in self._refuse_usage
            ):
                logger.info("backend %s refuses stream_options; leaving it out", backend)
                self._refuse_usage.add(backend)
                continue
            if (refusal := refused(upstream.status, detail, work.asked_model)) is not None:
                raise refusal
            status = upstream.status if upstream.status >= 400 else 502
            message = detail[:200].decode(errors="replace") or f"it answered {upstream.status}"
            raise EngineError(status, detail, message, upstream.headers)

    def _body(self, work: Work) -> bytes:
        """The body to send: the client's own bytes if nothing has to be changed.

        Raises EngineError for what the backend would ignore.
        """
        sent, backend = work.fields, work.served.backend
        if work.stream and backend not in self._refuse_usage:
            options = _object(sent.get("stream_options"))
            if bytes(options.get("include_usage", b"")) != b"true":
                options["include_usage"] = _TRUE
                sent = {**sent, "stream_options": msgspec.Raw(msgspec.json.encode(options))}
        description = self._dispatcher.pool.statuses[backend].description
        if description is not None and description.engine == "llama.cpp":
            sent = as_read(sent, description)
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
        self, reply: Reply, slot: Slot, upstream: ForwardedResponse
    ) -> web.StreamResponse:
        work = slot.work
        body = await slot.read(upstream.read())
        upstream.close()
        slot.progress(0)
        try:
            answer = _OBJECT.decode(body)
            if not body.isascii():
                for name, value in answer.items():
                    if name != "usage":  # all else is passed on as it is
                        bytes(value).decode()
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BackendGone("its answer is not a JSON object") from None
        results = "data" if work.kind is None else "choices"
        if "error" in answer and results not in answer:
            raise EngineError(500, body, body[:200].decode(errors="replace"), upstream.headers)
        if not bytes(answer.get(results, b"")).startswith(b"["):
            raise BackendGone(f"its answer has no {results}")
        reported = _object(answer.get("usage"))
        several = self._several(work) if self._counts_each(work) else None
        if several is not None and several.number > 1:
            sizes = answer_bytes(body) or ()
            reported = several.whole(reported, sizes, work.request.max_tokens)
        if work.kind is not None and reported_count(reported.get("completion_tokens")) is None:
            work.served.billed_tokens = answer_tokens(body)
        usage = self._count(work, reported)
        slot.finish()
        answer["usage"] = msgspec.Raw(msgspec.json.encode(self._with_headway(work, usage)))
        return reply.whole(msgspec.json.encode(answer), self._headers(work, upstream))

    def _relay(self, work: Work) -> EventRelay:
        several = self._several(work)
        each = several.number > 1 and self._counts_each(work)

        def count(usage: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
            of_all = several.so_far(usage) if each else usage
            return self._with_headway(work, self._count(work, of_all))

        return EventRelay(work.include_usage, count, several.number)

    def _several(self, work: Work) -> Several:
        prompt = work.fields.get("prompt") if work.kind == "completion" else None
        return Several(prompt, reported_count(work.fields.get("n")) or 1)

    def _counts_each(self, work: Work) -> bool:
        """Whether the engine counts each answer of a request by itself."""
        description = self._dispatcher.pool.statuses[work.served.backend].description
        return description is not None and description.engine == "llama.cpp"

    async def _first(self, slot: Slot, relay: EventRelay, upstream: ForwardedResponse) -> bytes:
        """Read the first events for the client. Until then, another backend may answer instead.

        Raises EngineError and BackendGone.
        """
        while block := await slot.read(upstream.part()):
            out = self._feed(slot, relay, block)
            if out:
                return out
        return relay.end()

    async def _pass_on(
        self,
        reply: Reply,
        slot: Slot,
        relay: EventRelay,
        upstream: ForwardedResponse,
        first: bytes,
    ) -> web.StreamResponse:
        last, turn = b"", slot.work.turn
        try:
            await reply.begin(self._headers(slot.work, upstream))
            try:
                await reply.send(first)
                while block := await slot.read(upstream.part()):
                    out = self._feed(slot, relay, block)
                    if out:
                        await reply.send(out)
                last = relay.end()
            except (BackendGone, EngineError) as error:
                if isinstance(error, EngineError):
                    turn.failure = from_engine(error.status, error.body, error.headers)
                else:
                    turn.failure = backend_lost(slot.work.served.backend, str(error))
                slot.lost(error)
            except ApiError as error:
                turn.failure = error
        finally:
            upstream.close()
        if turn.failure is not None:
            slot.leave()
            return await reply.fail(turn.failure)
        slot.finish()
        return await reply.end(last)

    def _feed(self, slot: Slot, relay: EventRelay, block: bytes) -> bytes:
        before = relay.events
        out = relay.feed(block)
        # One event is about one token; the backend's own count comes at the end.
        slot.progress(relay.events - before)
        return out

    def _headers(self, work: Work, upstream: ForwardedResponse) -> dict[str, str]:
        return passed_on(upstream.headers) | self._accounts.headers(work)

    def _with_headway(self, work: Work, usage: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
        """The backend's usage object, with Headway's part."""
        mine = self._accounts.usage(work, self._dispatcher.clock())
        usage["headway"] = msgspec.Raw(msgspec.json.encode(mine))
        return usage

    def _count(self, work: Work, usage: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
        """Record the backend's usage object; returns what of it can be true."""
        usage = _credible(usage)
        work.served.prompt_tokens = reported_count(usage.get("prompt_tokens"))
        produced = reported_count(usage.get("completion_tokens"))
        if produced is not None:
            work.served.billed_tokens = produced
        details = _object(usage.get("prompt_tokens_details"))
        work.served.cached_tokens = reported_count(details.get("cached_tokens"))
        return usage


def _object(raw: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    """The fields of `raw`; none if it is not an object."""
    if raw is None:
        return {}
    try:
        return _OBJECT.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _credible(usage: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """`usage` without implausible counts, also in its details."""
    kept = {}
    for name, raw in usage.items():
        if name.endswith("_tokens"):
            if reported_count(raw) is not None:
                kept[name] = raw
        elif bytes(raw).startswith(b"{"):
            kept[name] = msgspec.Raw(msgspec.json.encode(_credible(_object(raw))))
        else:
            kept[name] = raw
    return kept
