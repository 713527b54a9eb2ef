"""What backends generate: chat, completions, embeddings, and the dialects translated to chat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from headway.engines.pool import BackendPool
from headway.gateway.answers.answers import Answers
from headway.gateway.answers.reply import Reply
from headway.gateway.dialects.dialect import Dialect
from headway.gateway.http.body import off_loop
from headway.gateway.intake.entrance import Admitted, Entrance
from headway.gateway.intake.given import read
from headway.gateway.intake.intake import Intake
from headway.gateway.intake.prompts import Prompts
from headway.gateway.routes.messages import MessagesRoutes
from headway.gateway.routes.responses import ResponsesRoutes
from headway.gateway.routes.texts import TextRoutes
from headway.gateway.routes.token_counts import CHAT
from headway.gateway.work.work import Work

Translate = Callable[[Admitted], Awaitable[Dialect]]
"""Reads a request to another API."""


class GeneratedRoutes:
    """Handlers of requests for work of backends.

    Args:
        entrance: admits requests.
        prompts: fills registered prompts in.
        intake: makes works of requests.
        answers: answers them.
        pool: the backends.
        wait_s: how long a request waits for the first backend that has answered.
        texts: embeds on models of the catalog.
        messages: reads requests to Anthropic's Messages API.
        responses: reads those to OpenAI's Responses API.
    """

    def __init__(
        self,
        entrance: Entrance,
        prompts: Prompts,
        intake: Intake,
        answers: Answers,
        pool: BackendPool,
        wait_s: float,
        texts: TextRoutes,
        messages: MessagesRoutes,
        responses: ResponsesRoutes,
    ) -> None:
        self._entrance = entrance
        self._prompts = prompts
        self._intake = intake
        self._answers = answers
        self._pool = pool
        self._wait_s = wait_s
        self._texts = texts
        self._messages = messages
        self._responses = responses

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {
            "generate": self._generate,
            "embed": self._embed,
            "messages": partial(self._generate, translate=self._messages.dialect),
            "responses": partial(self._generate, translate=self._responses.dialect),
        }

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        """Run on a model of the catalog if there is one of that name, else on a backend."""
        admitted = await self._entrance.admit(request)
        response = await self._texts.embeddings(request.headers, admitted)
        if response is not None:
            return response
        return await self._generate(request, admitted=admitted)

    async def _read(
        self, request: web.Request, translate: Translate | None, admitted: Admitted | None
    ) -> tuple[Work, Dialect | None]:
        """Read the request. Nothing else of its body is kept, as a request may wait for long."""
        admitted = admitted or await self._entrance.admit(request)
        admitted = await self._prompts.filled(request.path, admitted)
        if translate is None:
            return await self._work(request, request.path, admitted), None
        dialect = await translate(admitted)
        chat = admitted._replace(body=dialect.chat)
        work = await self._work(request, CHAT, chat)
        work.include_usage = True
        return work, dialect

    async def _work(self, request: web.Request, path: str, admitted: Admitted) -> Work:
        await self._pool.wait_for_models(self._wait_s)
        given = await off_loop(partial(read, path), admitted.body)
        return self._intake.work(path, request.headers, admitted, given)

    async def _generate(
        self,
        request: web.Request,
        translate: Translate | None = None,
        admitted: Admitted | None = None,
    ) -> web.StreamResponse:
        """Answer with what a backend generates; `translate` reads a request to another API."""
        work, dialect = await self._read(request, translate, admitted)
        return await self._answers.answer(work, Reply(request, dialect))
