"""How the gateway is: its queue, policy, metrics and health."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from headway.engines.pool import BackendPool
from headway.gateway.accounts.accounts import Accounts
from headway.gateway.accounts.metrics import CONTENT_TYPE, Metrics
from headway.gateway.api.answer import answer, json_answer
from headway.gateway.api.errors import ApiError
from headway.gateway.api.views import Health, PolicyView
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.foresight.advisor import Advisor
from headway.gateway.intake.entrance import Entrance
from headway.gateway.keys.keys import must_be_admin
from headway.gateway.routes import status_page
from headway.gateway.routes.inference import Inference
from headway.gateway.routes.queue_view import MOST_EXPLAINED, queue_view
from headway.redaction import masked


class StatusRoutes:
    """Handlers of these views.

    Args:
        entrance: says who asks.
        dispatcher: has the queue.
        pool: the backends.
        inference: the models that answer whole batches.
        accounts: writes down what has ended, before it is counted.
        metrics: counts it.
        advisor: chooses the policy; None: it stays.
    """

    def __init__(
        self,
        entrance: Entrance,
        dispatcher: Dispatcher,
        pool: BackendPool,
        inference: Inference,
        accounts: Accounts,
        metrics: Metrics,
        advisor: Advisor | None,
    ) -> None:
        self._entrance = entrance
        self._dispatcher = dispatcher
        self._pool = pool
        self._inference = inference
        self._accounts = accounts
        self._metrics = metrics
        self._advisor = advisor

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {
            "queue": self._queue,
            "policy": self._policy,
            "metrics": self._scrape,
            "healthz": self._healthz,
            "readyz": self._readyz,
            "status_page": self._status_page,
        }

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

    async def _status_page(self, request: web.Request) -> web.Response:
        return answer(status_page.PAGE.encode(), content_type="text/html; charset=utf-8")
