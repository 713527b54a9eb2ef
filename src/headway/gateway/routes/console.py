"""The console at `/console`: its pages, and who may see what they show.

The pages are the same for everybody and hold nothing secret; what they show, they ask for.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web

from headway.console.assets import INDEX, assets
from headway.core.policies import POLICIES
from headway.core.request import Tier
from headway.gateway.api.answer import answer, json_answer
from headway.gateway.api.errors import ApiError, invalid_value
from headway.gateway.console.live import Live
from headway.gateway.console.picture import MOST_ROWS, Window
from headway.gateway.console.trend import Trend
from headway.gateway.http.body import Bodies, parsed
from headway.gateway.intake.entrance import Entrance
from headway.gateway.keys.sessions import COOKIE, LASTS_S, Sessions

PATH = "/console"
SESSION = f"{PATH}/api/session"
TREND = f"{PATH}/api/trend"
LIVE = f"{PATH}/api/live"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing inline runs, nothing is loaded from elsewhere, and no page may frame this one."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SignIn(msgspec.Struct):
    """What signs in."""

    key: str


_SIGN_IN = msgspec.json.Decoder(SignIn)


class Viewer(msgspec.Struct, kw_only=True):
    """The key that has signed in."""

    name: str
    tenant: str
    admin: bool
    read_only: bool


class PolicyAbout(msgspec.Struct):
    """A policy, in a few words."""

    name: str
    about: str


class ConsoleSession(msgspec.Struct, kw_only=True):
    """GET /console/api/session: what this browser may see and do."""

    access: str
    """`open`: without keys, on this machine; `signed_in`; `sign_in`: a key is needed; `off`: there
    is no key that could sign in."""
    viewer: Viewer | None
    """Null unless signed in."""
    csrf: str
    """To be sent as `x-csrf-token` with everything that is not merely read; empty: not needed."""
    may_operate: bool
    """Whether it may cancel requests, drain backends and switch the policy."""
    keeps_log: bool
    """Whether there is a request log, and so a history and costs."""
    policies: list[PolicyAbout]


class ConsoleRoutes:
    """Serves the console's files, and signs browsers in and out."""

    def __init__(
        self,
        entrance: Entrance,
        sessions: Sessions,
        bodies: Bodies,
        live: Live,
        trend: Trend,
        base_path: str,
        keeps_log: bool,
    ) -> None:
        self._keeps_log = keeps_log
        self._entrance = entrance
        self._sessions = sessions
        self._bodies = bodies
        self._live = live
        self._trend = trend
        self._cookie_path = base_path or "/"

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes: they are the console's own, and in no document."""
        router.add_get(PATH, self._page)
        router.add_get(f"{PATH}/", self._without_slash)
        router.add_get(SESSION, self._session)
        router.add_post(SESSION, self._sign_in)
        router.add_delete(SESSION, self._sign_out)
        router.add_get(TREND, self._past)
        router.add_get(LIVE, self._watch, allow_head=False)
        router.add_get(PATH + "/{name:.+}", self._file)

    async def _page(self, request: web.Request) -> web.Response:
        return _asset(INDEX, request)

    async def _without_slash(self, request: web.Request) -> web.Response:
        """Addresses in the page are relative to the one without a slash."""
        return answer(b"", status=308, headers={"Location": "../console"})

    async def _file(self, request: web.Request) -> web.Response:
        return _asset(request.match_info["name"], request)

    async def _session(self, request: web.Request) -> web.Response:
        return json_answer(self._state(request), headers=PRIVATE)

    async def _sign_in(self, request: web.Request) -> web.Response:
        given: SignIn = parsed(await self._bodies.read(request), _SIGN_IN)
        cookie = self._sessions.begin(given.key.strip())
        response = answer(b"", status=204, headers=PRIVATE)
        secure = request.secure or request.headers.get("x-forwarded-proto", "") == "https"
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=int(LASTS_S),
            path=self._cookie_path,
            httponly=True,
            samesite="Strict",
            secure=secure,
        )
        return response

    async def _sign_out(self, request: web.Request) -> web.Response:
        self._sessions.end(request.headers)
        response = answer(b"", status=204, headers=PRIVATE)
        response.del_cookie(COOKIE, path=self._cookie_path)
        return response

    async def _past(self, request: web.Request) -> web.Response:
        self._entrance.viewer(request)
        return json_answer(self._trend.view(), headers=PRIVATE)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        """Looks at the queue as they come, as server-sent events, until the browser leaves."""
        window = _window(request.query)
        self._entrance.viewer(request)
        response = web.StreamResponse(headers=STREAM)
        self._live.watch()
        try:
            await response.prepare(request)
            await response.write(b"retry: 1000\n\n")
            tick = 0
            while True:
                viewer = self._entrance.viewer(request)  # its key may have been revoked
                tick, message = await self._live.message(viewer, window, tick)
                await response.write(b"data: %b\n\n" % message)
        except ApiError as error:
            if not response.prepared:
                raise
            await response.write(b"event: refused\ndata: %b\n\n" % error.body())
        finally:
            self._live.leave()
        return response

    def _state(self, request: web.Request) -> ConsoleSession:
        session = self._sessions.of(request.headers)
        caller, access = None, "open"
        if session is not None:
            caller, access = self._sessions.caller("GET", request.headers), "signed_in"
        elif not self._sessions.possible:
            access = "open" if self._entrance.from_here(request) else "off"
        else:
            access = "sign_in"
        operates = access == "open" or (
            caller is not None and caller.admin and not caller.read_only
        )
        return ConsoleSession(
            access=access,
            viewer=None
            if caller is None
            else Viewer(
                name=caller.name,
                tenant=caller.tenant,
                admin=caller.admin,
                read_only=caller.read_only,
            ),
            csrf="" if session is None else session.csrf,
            may_operate=operates,
            keeps_log=self._keeps_log,
            policies=[
                PolicyAbout(name=name, about=(policy.__doc__ or "").partition("\n")[0])
                for name, policy in POLICIES.items()
            ],
        )


PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


STREAM = {**PRIVATE, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


def _window(query: Mapping[str, str]) -> Window:
    """The rows that a page shows. Raises ApiError 400."""
    tier = query.get("tier", "")
    try:
        return Window(
            first=_number(query, "first", 0, 10_000_000),
            rows=_number(query, "rows", 50, MOST_ROWS),
            tier=Tier.parse(tier) if tier else None,
            find=query.get("find", "").strip().lower()[:200],
        )
    except ValueError as error:
        raise invalid_value(f"{error}.", "tier") from None


def _number(query: Mapping[str, str], name: str, otherwise: int, most: int) -> int:
    text = query.get(name, str(otherwise))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most):
        raise invalid_value(f"{name} must be an integer from 0 to {most}.", name)
    return int(text)


def _asset(name: str, request: web.Request) -> web.Response:
    asset = assets().get(name)
    if asset is None:
        raise ApiError(404, f"The console has no file {name[:100]!r}.", code="not_found")
    headers: Mapping[str, str] = {
        **HEADERS,
        "Cache-Control": "no-cache",  # kept by browsers, and asked for by its ETag
        "ETag": asset.etag,
    }
    if request.headers.get("if-none-match") == asset.etag:
        return web.Response(status=304, headers=headers)
    packed = {**headers, "Content-Encoding": "gzip"}
    return answer(asset.packed, headers=packed, content_type=asset.content_type)
