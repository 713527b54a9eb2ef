"""The HTTP interface: the handlers of all routes, and the middleware around them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import cast

import msgspec
from aiohttp import HttpVersion10, web
from aiohttp.typedefs import Handler

from headway.batches.batches import Batches
from headway.engines.pool import BackendPool
from headway.gateway.accounts.accounts import Accounts
from headway.gateway.accounts.metrics import CONTENT_TYPE, Metrics
from headway.gateway.answers.answers import Answers
from headway.gateway.answers.repeats import HEADER, Repeats
from headway.gateway.answers.reply import Reply
from headway.gateway.api.answer import answer, json_answer
from headway.gateway.api.errors import ApiError, internal
from headway.gateway.api.views import Health, PolicyView
from headway.gateway.dialects.dialect import Dialect
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.foresight.advisor import Advisor
from headway.gateway.http.body import off_loop
from headway.gateway.http.browsers import Browsers
from headway.gateway.http.server import Connection
from headway.gateway.intake.entrance import ADMITTED, Admitted, Entrance
from headway.gateway.intake.intake import Intake, read
from headway.gateway.intake.prompts import Prompts
from headway.gateway.keys.keys import must_be_admin
from headway.gateway.routes import docs_page, files, status_page
from headway.gateway.routes.batches import BatchesRoutes
from headway.gateway.routes.console import ConsoleRoutes
from headway.gateway.routes.costs import CostsRoutes
from headway.gateway.routes.files import FilesRoutes
from headway.gateway.routes.history import HistoryRoutes
from headway.gateway.routes.inference import Inference
from headway.gateway.routes.messages import MessagesRoutes
from headway.gateway.routes.models import ModelsRoutes
from headway.gateway.routes.open_inference import OpenInferenceRoutes
from headway.gateway.routes.openapi import document
from headway.gateway.routes.operations import Operations
from headway.gateway.routes.predict import PredictRoute
from headway.gateway.routes.predicted import PredictedRoute
from headway.gateway.routes.prompt_trials import PromptTrials
from headway.gateway.routes.prompts import PromptsRoutes
from headway.gateway.routes.queue_view import MOST_EXPLAINED, queue_view
from headway.gateway.routes.refused import NO_VERSION, answer_of, from_router, refusal_of
from headway.gateway.routes.responses import ResponsesRoutes
from headway.gateway.routes.runs import RunsRoutes
from headway.gateway.routes.table import TABLE
from headway.gateway.routes.texts import TextRoutes
from headway.gateway.routes.token_counts import CHAT, TokenCounter
from headway.gateway.routes.what_if import WhatIfRoutes
from headway.gateway.settings import GatewaySettings
from headway.gateway.work.work import Work
from headway.redaction import masked
from headway.store.responses import ResponseStore

Translate = Callable[[Admitted], Awaitable[Dialect]]
"""Reads a request to another API."""

logger = logging.getLogger(__name__)


class Routes:
    """Serves all valid HTTP requests."""

    def __init__(
        self,
        settings: GatewaySettings,
        dispatcher: Dispatcher,
        pool: BackendPool,
        intake: Intake,
        accounts: Accounts,
        metrics: Metrics,
        entrance: Entrance,
        prompts: Prompts,
        inference: Inference,
        answers: Answers,
        texts: TextRoutes,
        batches: Batches | None,
        costs: CostsRoutes,
        responses: ResponseStore | None,
        advisor: Advisor | None,
        console: ConsoleRoutes,
        operations: Operations,
        predicted: PredictedRoute,
        history: HistoryRoutes,
        registered: PromptsRoutes,
        trials: PromptTrials,
        runs: RunsRoutes,
        what_if: WhatIfRoutes,
    ) -> None:
        self._settings = settings
        self._advisor = advisor
        self._console = console
        self._operations = operations
        self._predicted = predicted
        self._history = history
        self._registered = registered
        self._trials = trials
        self._runs = runs
        self._what_if = what_if
        self._dispatcher = dispatcher
        self._pool = pool
        self._intake = intake
        self._accounts = accounts
        self._metrics = metrics
        self._entrance = entrance
        self._prompts = prompts
        self._inference = inference
        self._answers = answers
        self._browsers = Browsers(settings.host, settings.hosts, settings.allow_origins)
        self._texts = texts
        self._files = FilesRoutes(entrance, batches, settings.read_timeout_s)
        self._costs = costs
        self._batches = BatchesRoutes(entrance, batches, costs)
        self._models = ModelsRoutes(entrance, intake, inference)
        counter = TokenCounter(intake, pool)
        self._messages = MessagesRoutes(entrance, counter)
        self._responses = ResponsesRoutes(
            entrance, prompts, counter, responses, settings.max_body_bytes
        )
        queue = dispatcher.queue
        self._repeats = Repeats(dispatcher.clock, None if queue is None else queue.answers)
        self._work_resources: set[web.AbstractResource | None] = set()
        """Those to which requests for work go."""
        self._document = msgspec.json.encode(document())

    def application(self) -> web.Application:
        """The aiohttp application with all routes of the table."""
        handlers: dict[str, Handler] = {
            "generate": self._generate,
            "embed": self._embed,
            "messages": partial(self._generate, translate=self._messages.dialect),
            "messages_tokens": self._messages.count_tokens,
            "responses": partial(self._generate, translate=self._responses.dialect),
            "responses_tokens": self._responses.count_tokens,
            "response": self._responses.retrieve,
            "delete_response": self._responses.delete,
            "response_input": self._responses.input_items,
            "upload": self._files.upload,
            "files": self._files.files,
            "file": self._files.file,
            "file_content": self._files.content,
            "delete_file": self._files.delete,
            "create_batch": self._batches.create,
            "batches": self._batches.batches,
            "batch": self._batches.batch,
            "batch_errors": self._batches.errors,
            "cancel_batch": self._batches.cancel,
            "pause_batch": self._batches.pause,
            "resume_batch": self._batches.resume,
            "retry_batch": self._batches.retry,
            "rerank": self._texts.rerank,
            "classify": self._texts.classify,
            "predict": PredictRoute(self._inference, self._entrance).predict,
            "models": self._models.all,
            "model": self._models.one,
            "queue": self._queue,
            "costs": self._costs.costs,
            "policy": self._policy,
            "predicted": self._predicted.predicted,
            "use_policy": self._operations.use_policy,
            "cancel_request": self._operations.cancel,
            "move_request": self._operations.move,
            "drain_backend": self._operations.drain,
            "resume_backend": self._operations.resume,
            "history": self._history.page,
            "history_csv": self._history.csv,
            "history_series": self._history.series,
            "history_request": self._history.one,
            "prompts": self._registered.list,
            "prompt": self._registered.one,
            "write_version": self._registered.write_version,
            "write_cases": self._registered.write_cases,
            "move_alias": self._registered.move_alias,
            "run_trials": self._trials.run,
            "metrics": self._scrape,
            "healthz": self._healthz,
            "readyz": self._readyz,
            "openapi": self._openapi,
            "docs": self._docs,
            "docs_style": partial(self._docs_asset, "swagger-ui.css", "text/css"),
            "docs_script": partial(self._docs_asset, "swagger-ui-bundle.js", "text/javascript"),
            "status_page": self._status_page,
            **self._runs.handlers(),
            **OpenInferenceRoutes(self._inference, self._entrance).handlers(),
        }
        application = web.Application(middlewares=[self._surround])
        if self._settings.allow_origins:
            application.on_response_prepare.append(self._expose)
        for route in TABLE:
            handler = handlers[route.handler]
            if route.method == "GET":
                application.router.add_get(route.path, handler)
                continue
            added = application.router.add_route(
                route.method, route.path, handler, expect_handler=self._expected
            )
            if route.scheduled:
                self._work_resources.add(added.resource)
        self._what_if.add_to(application.router)
        self._console.add_to(application.router)
        return application

    # ---- around every handler ---------------------------------------------------------------

    @web.middleware
    async def _surround(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Apply the rules for browsers; turn errors into answers in the format of the API."""
        connection = cast(Connection, request.protocol)
        if request.version < HttpVersion10:
            connection.refuse(NO_VERSION)  # aiohttp itself would answer in HTTP/0.9
            raise ConnectionAbortedError("the client uses another version of HTTP")
        connection.begin(request)
        response: web.StreamResponse
        try:
            self._browsers.check(request.headers)
            allowed = self._browsers.preflight(request.method, request.headers)
            if allowed is not None:
                response = web.Response(status=HTTPStatus.NO_CONTENT, headers=allowed)
            elif HEADER in request.headers and self._is_work(request):
                response = await self._once(handler, request)
            else:
                response = await handler(request)
        except ApiError as error:
            response = self._refused(request, error)
        except web.HTTPException as error:
            response = self._refused(request, from_router(request, error))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            # Handlers raise ApiError for all expected errors: this is a bug.
            logger.exception("cannot serve %s %s", request.method, request.path)
            if request.writer.output_size:
                raise ConnectionAbortedError("the answer cannot be completed") from None
            response = answer_of(request, internal())
        finally:
            connection.end(self._entrance.release(request))
        if self._dispatcher.draining:
            response.force_close()
        return response

    def _refused(self, request: web.Request, error: ApiError) -> web.Response:
        """Answer with `error`, and write it down unless the request was settled."""
        if not error.settled:
            tenant, work = self._entrance.tenant(request), self._is_work(request)
            self._accounts.refusals.note(refusal_of(request, error, tenant, work))
        return answer_of(request, error)

    def _is_work(self, request: web.Request) -> bool:
        return request.match_info.route.resource in self._work_resources

    async def _expected(self, request: web.Request) -> web.StreamResponse | None:
        """Answer `Expect: 100-continue`; a refusal ends the connection."""
        try:
            to_disk = request.path == files.PATH
            refuse = self._files.refuse_too_large if to_disk else None
            await self._entrance.expected(request, refuse)
        except ApiError as error:
            response = self._refused(request, error)
            response.force_close()
            return response
        return None

    async def _expose(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the CORS headers before any of the answer is sent."""
        for name, value in self._browsers.headers(request.headers).items():
            response.headers.setdefault(name, value)

    # ---- work -------------------------------------------------------------------------------

    async def _once(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        """Do work that costs something once for each `Idempotency-Key`."""
        admitted = await self._entrance.admit(request)
        request[ADMITTED] = admitted
        return await self._repeats.answer(
            "" if admitted.caller is None else admitted.caller.name,
            request.headers[HEADER],
            request.path.encode() + b"\n" + admitted.body,
            partial(handler, request),
        )

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
        await self._pool.wait_for_models(self._settings.unavailable_wait_s)
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

    # ---- views ------------------------------------------------------------------------------

    async def _queue(self, request: web.Request) -> web.Response:
        viewer = self._entrance.caller(request)
        limit = request.query.get("limit", str(MOST_EXPLAINED))
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:7]) <= 100_000):
            raise ApiError(400, "limit must be an integer from 1 to 100000.", param="limit")
        return json_answer(queue_view(self._dispatcher, viewer, int(limit[:7])))

    async def _policy(self, request: web.Request) -> web.Response:
        self._entrance.caller(request)
        advisor = self._advisor
        view = PolicyView(
            policy=self._dispatcher.scheduler.policy_name,
            automatic=advisor is not None,
            switches=0 if advisor is None else advisor.switches,
            advice=None if advisor is None else advisor.advice,
        )
        return json_answer(view)

    async def _scrape(self, request: web.Request) -> web.Response:
        must_be_admin(self._entrance.caller(request))
        self._accounts.flush()
        return answer(self._metrics.exposition(), content_type=CONTENT_TYPE)

    async def _healthz(self, request: web.Request) -> web.Response:
        return json_answer(Health(status="ok"))

    async def _readyz(self, request: web.Request) -> web.Response:
        unavailable = HTTPStatus.SERVICE_UNAVAILABLE
        if self._dispatcher.draining:
            return json_answer(Health(status="shutting down"), unavailable)
        if self._inference.serves_any and not self._pool.statuses:
            if self._inference.catalog.started:
                return json_answer(Health(status="ready"))
            return json_answer(Health(status="models are being loaded"), unavailable)
        statuses = [one for one in self._pool.statuses.values() if not one.leaving]
        if any(status.healthy for status in statuses):
            return json_answer(Health(status="ready"))
        errors = "; ".join(f"{s.name}: {s.error or 'not answering yet'}" for s in statuses)
        reasons = masked(errors) or "none"
        return json_answer(Health(status=f"no backend can serve ({reasons})"), unavailable)

    async def _openapi(self, request: web.Request) -> web.Response:
        return answer(self._document)

    async def _status_page(self, request: web.Request) -> web.Response:
        return answer(status_page.PAGE.encode(), content_type="text/html; charset=utf-8")

    async def _docs(self, request: web.Request) -> web.Response:
        return answer(docs_page.PAGE.encode(), content_type="text/html; charset=utf-8")

    async def _docs_asset(self, name: str, kind: str, request: web.Request) -> web.Response:
        headers = {"Content-Encoding": "gzip", "Cache-Control": "max-age=3600"}
        content_type = f"{kind}; charset=utf-8"
        return answer(docs_page.asset(name), headers=headers, content_type=content_type)
