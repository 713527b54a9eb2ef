"""The page What if of the console: what would other settings have done to this traffic?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from aiohttp import web

from headway.gateway.api.answer import answer, json_answer
from headway.gateway.api.errors import ApiError, invalid_value, sentence
from headway.gateway.foresight.what_if import Asked, Busy, Refused, WhatIf
from headway.gateway.http.body import Bodies
from headway.gateway.intake.entrance import Entrance
from headway.gateway.keys.keys import who
from headway.gateway.routes.console import PATH, PRIVATE, STREAM
from headway.gateway.routes.policy_names import check_policy

WHAT_IF = f"{PATH}/api/what-if"
REPORT = f"{WHAT_IF}/report"
BEAT_S = 15.0
"""Between two signs of life for proxies: a replay may wait long for the processor."""
REPORT_HEADERS = {
    **PRIVATE,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "sandbox; frame-ancestors 'none'",
}
"""A report has its style inline, and nothing that runs."""


class Choices(msgspec.Struct, kw_only=True):
    """GET /console/api/what-if: what may be asked."""

    log: bool
    """Whether there is a request log."""
    profiles: list[str]
    """Engines, besides the gateway's own."""
    policy: str
    """The one that runs now."""
    automatic: bool
    """Whether the gateway chooses it by itself."""


class WhatIfRoutes:
    """Handlers of `/console/api/what-if`.

    Args:
        entrance: lets only admins in, who may be read-only: nothing changes.
        bodies: reads traces, within the limits of all bodies.
        what_if: answers.
        profiles: engines to choose from.
        automatic: whether the gateway chooses its policy by itself.
    """

    def __init__(
        self,
        entrance: Entrance,
        bodies: Bodies,
        what_if: WhatIf,
        profiles: Sequence[str],
        automatic: bool,
    ) -> None:
        self._entrance = entrance
        self._bodies = bodies
        self._what_if = what_if
        self._profiles = profiles
        self._automatic = automatic

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes: they are the console's own, and in no document."""
        router.add_get(WHAT_IF, self._choices)
        router.add_post(WHAT_IF, self._ask)
        router.add_get(REPORT, self._report)

    async def _choices(self, request: web.Request) -> web.Response:
        self._entrance.overseer(request)
        choices = Choices(
            log=self._what_if.has_log,
            profiles=list(self._profiles),
            policy=self._what_if.policy,
            automatic=self._automatic,
        )
        return json_answer(choices, headers=PRIVATE)

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        """How far it is and the answer, as server-sent events; it ends when the browser leaves."""
        caller = self._entrance.overseer(request)
        asked = _asked(request)
        trace = await self._bodies.read(request)
        if asked.file and not trace:
            raise invalid_value(f"The file {asked.file[:100]!r} is empty.", "file")
        response = web.StreamResponse(headers=STREAM)

        async def heard(line: bytes) -> None:
            if not response.prepared:
                await response.prepare(request)
            await response.write(b"data: %b\n\n" % line)

        async def beat() -> None:
            while True:
                await asyncio.sleep(BEAT_S)
                if response.prepared:
                    await response.write(b": it goes on\n\n")

        beating = asyncio.create_task(beat(), name="keep a replay's connection alive")
        try:
            found = await self._what_if.ask(asked, trace, who(caller), heard)
        except Busy as busy:
            message = sentence(f"{busy}; wait until it ends")
            raise ApiError(409, message, code="conflict") from None
        except Refused as refused:
            error = ApiError(422, str(refused), code="no_answer")
            if not response.prepared:
                raise error from None
            await response.write(b"data: %b\n\n" % error.body())
        else:
            number = b"%d" % self._what_if.number
            await heard(b'{"number":%b,"found":%b}' % (number, bytes(found)))
        finally:
            beating.cancel()
        return response

    async def _report(self, request: web.Request) -> web.Response:
        """The page of the last answer, to look at or to keep."""
        self._entrance.overseer(request)
        if request.query.get("number") != str(self._what_if.number) or not self._what_if.report:
            raise ApiError(
                404,
                "This report is gone: only the last one is kept; ask again.",
                code="not_found",
            )
        headers = dict(REPORT_HEADERS)
        if "download" in request.query:
            headers["Content-Disposition"] = 'attachment; filename="headway-what-if.html"'
        return answer(
            self._what_if.report, headers=headers, content_type="text/html; charset=utf-8"
        )


def _asked(request: web.Request) -> Asked:
    """The question. Raises ApiError 400."""
    try:
        asked = msgspec.json.decode(request.query.get("ask", "{}"), type=Asked)
    except msgspec.DecodeError as error:
        raise invalid_value(f"ask: {error}.", "ask") from None
    for policy in asked.policies:
        check_policy(policy, "ask")
    if not (0.0 < asked.window_s < 1e9 and all(number > 0 for number in asked.slots)):
        raise invalid_value("window_s and slots must be above 0.", "ask")
    return asked
