"""What surrounds every handler: rules for browsers, repeated requests, and errors as answers."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from http import HTTPStatus
from typing import cast

from aiohttp import HttpVersion10, web
from aiohttp.typedefs import Handler

from headway.gateway.accounts.accounts import Accounts
from headway.gateway.answers.repeats import HEADER, Repeats
from headway.gateway.api.errors import ApiError, internal
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.http.browsers import Browsers
from headway.gateway.http.server import Connection
from headway.gateway.intake.entrance import ADMITTED, Entrance
from headway.gateway.routes import files
from headway.gateway.routes.refused import NO_VERSION, answer_of, from_router, refusal_of
from headway.gateway.settings import GatewaySettings

logger = logging.getLogger(__name__)


class Surround:
    """Surrounds every handler.

    Args:
        settings: which web pages may use the gateway.
        dispatcher: knows when the gateway drains, and where answers are shared.
        accounts: writes refusals down.
        entrance: admits requests.
        uploads: refuses files that are too large.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        dispatcher: Dispatcher,
        accounts: Accounts,
        entrance: Entrance,
        uploads: files.FilesRoutes,
    ) -> None:
        self.work: set[web.AbstractResource | None] = set()
        """Those to which requests for work go."""
        self._dispatcher = dispatcher
        self._accounts = accounts
        self._entrance = entrance
        self._uploads = uploads
        self._browsers = Browsers(settings.host, settings.hosts, settings.allow_origins)
        queue = dispatcher.queue
        self._repeats = Repeats(dispatcher.clock, None if queue is None else queue.answers)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
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
        return request.match_info.route.resource in self.work

    async def expected(self, request: web.Request) -> web.StreamResponse | None:
        """Answer `Expect: 100-continue`; a refusal ends the connection."""
        try:
            to_disk = request.path == files.PATH
            refuse = self._uploads.refuse_too_large if to_disk else None
            await self._entrance.expected(request, refuse)
        except ApiError as error:
            response = self._refused(request, error)
            response.force_close()
            return response
        return None

    async def expose(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the CORS headers before any of the answer is sent."""
        for name, value in self._browsers.headers(request.headers).items():
            response.headers.setdefault(name, value)

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
