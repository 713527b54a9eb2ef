"""Runs one request to its end, and records how it ended."""

from __future__ import annotations

import asyncio

from aiohttp import web

from headway.gateway.accounts.accounts import CLIENT_GONE, Accounts
from headway.gateway.answers.exact import ExactResponder
from headway.gateway.answers.forwarded import Forwarder
from headway.gateway.answers.keep_alive import KeepAlive
from headway.gateway.answers.reply import Reply
from headway.gateway.api.errors import ApiError
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.dispatch.slot import Slot
from headway.gateway.work.work import Work
from headway.store.request_record import Outcome


class Answers:
    """Answers requests for generation, from HTTP clients and from batches alike."""

    def __init__(self, dispatcher: Dispatcher, accounts: Accounts, keep_alive: KeepAlive) -> None:
        self._dispatcher = dispatcher
        self._accounts = accounts
        self._keep_alive = keep_alive
        self._exact = ExactResponder(dispatcher, accounts)
        self._forwarder = Forwarder(dispatcher, accounts)

    async def answer(self, work: Work, reply: Reply) -> web.StreamResponse:
        """Wait for a slot and answer `work`; whole, or as a stream that was sent to its end.

        Raises:
            ApiError: it is rejected or fails, and no byte has reached a client.
            ConnectionError: the client is gone.
        """
        if work.stream:
            self._keep_alive.watch(work, reply)
        outcome: Outcome = "failed"
        status, reason = 500, "internal_error"
        try:
            with Slot(self._dispatcher, work) as slot:
                await slot.wait()
                runner = self._forwarder if work.generation is None else self._exact
                response = await runner.answer(reply, slot)
            failure = work.turn.failure
            if failure is None:
                outcome, status, reason = "finished", 200, ""
            else:
                status, reason = 200, failure.code or failure.message
            return response
        except ApiError as error:
            if work.request.started_s < 0.0:
                outcome = "rejected"
            status, reason = error.status, error.code or error.message
            error.settled = True
            if reply.stream is None:
                raise
            self._keep_alive.forget(work)
            return await reply.fail(error)
        except (asyncio.CancelledError, ConnectionError):
            outcome, status, reason = "cancelled", CLIENT_GONE, "client_gone"
            raise
        finally:
            self._keep_alive.forget(work)
            self._accounts.settle(work, outcome, status, reason, self._dispatcher.clock())
