"""The HTTP interface: every path, and what happens there."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus

import msgspec

from headway.engines.pool import BackendPool
from headway.gateway.accounts import Accounts
from headway.gateway.body import unpacked
from headway.gateway.connection import Handler
from headway.gateway.dispatcher import Dispatcher
from headway.gateway.errors import ApiError
from headway.gateway.exact import ExactResponder
from headway.gateway.forwarded import Forwarder
from headway.gateway.http_message import HttpRequest, Response
from headway.gateway.inference import Inference
from headway.gateway.intake import Intake
from headway.gateway.keys import KeyRing
from headway.gateway.metrics import CONTENT_TYPE, Metrics
from headway.gateway.open_inference_routes import PREFIX, OpenInferenceRoutes
from headway.gateway.openapi import PAGE, document
from headway.gateway.predict_route import PREDICT, PredictRoute
from headway.gateway.queue_view import MOST_EXPLAINED, queue_view
from headway.gateway.settings import GatewaySettings
from headway.gateway.text_routes import TextRoutes
from headway.gateway.wire import Health, Model, ModelList
from headway.store.request_log import Outcome

CLIENT_GONE = 499
"""What the log says where the client did not wait for a status."""
MODELS = "/v1/models/"


class Routes:
    """Serves every request that is well-formed HTTP."""

    def __init__(
        self,
        settings: GatewaySettings,
        dispatcher: Dispatcher,
        pool: BackendPool,
        intake: Intake,
        accounts: Accounts,
        metrics: Metrics,
        keys: KeyRing,
        inference: Inference,
    ) -> None:
        self._settings = settings
        self._dispatcher = dispatcher
        self._pool = pool
        self._intake = intake
        self._accounts = accounts
        self._metrics = metrics
        self._keys = keys
        self._inference = inference
        self._texts = TextRoutes(inference)
        self._predictions = PredictRoute(inference)
        self._tensors = OpenInferenceRoutes(inference)
        self._exact = ExactResponder(dispatcher, accounts)
        self._forwarder = Forwarder(dispatcher, accounts)
        self._since = int(time.time())
        self._document = msgspec.json.encode(document())
        self._posts: dict[str, Handler] = {
            "/v1/chat/completions": self._generate,
            "/v1/completions": self._generate,
            "/v1/embeddings": self._embed,
            "/v1/rerank": self._texts.rerank,
            "/v1/classify": self._texts.classify,
        }
        self._gets: dict[str, Handler] = {
            "/v1/models": self._models,
            "/v1/headway/queue": self._queue,
            "/metrics": self._scrape,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/openapi.json": self._openapi,
            "/docs": self._docs,
        }

    async def handle(self, http: HttpRequest) -> Response | None:
        """Answer one request; errors come back as answers in OpenAI's shape."""
        try:
            return await self._route(http)(http)
        except ApiError as error:
            return error.response()

    def _route(self, http: HttpRequest) -> Handler:
        path, method = http.path, http.method
        if path.startswith(PREFIX):
            return self._tensors.handle
        posted = self._posts.get(path)
        if posted is None and path.startswith(MODELS) and path.endswith(PREDICT):
            posted = self._predictions.predict
        if posted is not None and method == "POST":
            return posted
        view = self._gets.get(path)
        if view is None and posted is None and path.startswith(MODELS):
            view = self._model
        if view is not None and method in ("GET", "HEAD"):
            return view
        if posted is None and view is None:
            raise ApiError(
                404, f"There is no {path}; see /docs for what there is.", code="not_found"
            )
        allowed = "POST" if posted is not None else "GET, HEAD"
        raise ApiError(
            405,
            f"{path} takes {allowed}, not {method}.",
            code="method_not_allowed",
            headers={"Allow": allowed},
        )

    # ---- work -------------------------------------------------------------------------------

    async def _generate(self, http: HttpRequest) -> Response | None:
        await self._pool.introduced(self._settings.unavailable_wait_s)
        try:
            work = self._intake.read(
                http.path, http.headers, unpacked(http, self._settings.max_body_bytes)
            )
        except ApiError as error:
            self._metrics.rejected(error.code or "invalid")
            raise
        http.forget()
        outcome: Outcome = "failed"
        status, reason = 500, "internal_error"
        try:
            self._dispatcher.submit(work)
            await work.waited()
            runner = self._forwarder if work.generation is None else self._exact
            response = await runner.answer(http, work)
            if work.failure is None:
                outcome, status, reason = "finished", 200, ""
            else:
                status, reason = 200, work.failure.code or work.failure.message
            return response
        except ApiError as error:
            if work.started_s < 0.0:
                outcome = "rejected"
            status, reason = error.status, error.code or error.message
            raise
        except (asyncio.CancelledError, ConnectionError):
            outcome, status, reason = "cancelled", CLIENT_GONE, "client_gone"
            raise
        finally:
            self._dispatcher.release(work, finished=False)
            self._accounts.settle(work, outcome, status, reason, self._dispatcher.clock())

    async def _embed(self, http: HttpRequest) -> Response | None:
        """On a model of our own, if it has that name, else on a backend."""
        return await self._texts.embeddings(http) or await self._generate(http)

    # ---- views ------------------------------------------------------------------------------

    async def _models(self, http: HttpRequest) -> Response:
        self._keys.caller(http.headers.get("authorization"))
        names = [*self._pool.models(), *(model.name for model in self._inference.catalog)]
        names = ["default", *names] if names else names
        return _json(ModelList(data=[Model(id=name, created=self._since) for name in names]))

    async def _model(self, http: HttpRequest) -> Response:
        self._keys.caller(http.headers.get("authorization"))
        name = http.path.removeprefix(MODELS)
        if name in self._inference.catalog:
            return _json(Model(id=name, created=self._since))
        return _json(Model(id=self._intake.model(name), created=self._since))

    async def _queue(self, http: HttpRequest) -> Response:
        self._keys.caller(http.headers.get("authorization"))
        limit = http.query.get("limit", str(MOST_EXPLAINED))
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:7]) <= 100_000):
            raise ApiError(400, "limit must be an integer from 1 to 100000.", param="limit")
        return _json(queue_view(self._dispatcher, int(limit)))

    async def _scrape(self, http: HttpRequest) -> Response:
        self._accounts.flush()
        return Response(self._metrics.exposition(), content_type=CONTENT_TYPE)

    async def _healthz(self, http: HttpRequest) -> Response:
        return _json(Health(status="ok"))

    async def _readyz(self, http: HttpRequest) -> Response:
        unavailable = HTTPStatus.SERVICE_UNAVAILABLE
        if self._dispatcher.draining:
            return _json(Health(status="shutting down"), unavailable)
        if self._inference.serves_any and not self._pool.statuses:
            if self._inference.catalog.started:
                return _json(Health(status="ready"))
            return _json(Health(status="models are being loaded"), unavailable)
        statuses = self._dispatcher.statuses.values()
        if any(status.healthy for status in statuses):
            return _json(Health(status="ready"))
        errors = "; ".join(f"{s.name}: {s.error or 'not answering yet'}" for s in statuses)
        return _json(Health(status=f"no backend can serve ({errors or 'none'})"), unavailable)

    async def _openapi(self, http: HttpRequest) -> Response:
        return Response(self._document)

    async def _docs(self, http: HttpRequest) -> Response:
        return Response(PAGE.encode(), content_type="text/html; charset=utf-8")


def _json(view: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(view), status=status)
