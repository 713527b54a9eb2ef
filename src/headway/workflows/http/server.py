"""The worker's HTTP server: webhooks, an API of runs, and a page on which people answer."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web
from yarl import URL

from headway.workflows import values
from headway.workflows.catalog import Catalog
from headway.workflows.errors import WorkflowError
from headway.workflows.graph import graph_of
from headway.workflows.http.page import answered_page, page
from headway.workflows.http.views import graph_view, listed_view, question_view, run_view
from headway.workflows.journal.errors import (
    Answered,
    JournalError,
    NoSuchQuestion,
    NoSuchRun,
    TooLate,
)
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import RunState
from headway.workflows.question import Question
from headway.workflows.starting import start
from headway.workflows.triggers.runner import Triggers
from headway.workflows.triggers.signatures import WrongSignature
from headway.workflows.triggers.webhook import WrongMessage

logger = logging.getLogger(__name__)

MOST_BYTES = 16 * 2**20
MOST_HOOK_BYTES = 4 * 2**20
"""Of a webhook: whoever reaches the port may send one."""
MOST_S = 60.0
"""For one request, its body included."""
SAFE = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
"""Other sites may not show the page in a frame, where people click what they do not see."""
LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
COOKIE = "headway_key"


class NotAllowed(Exception):
    """Nobody may listen there without a key; says what to do."""


class HttpServer:
    """Serves a journal.

    Args:
        journal: the runs.
        catalog: the workflows that may be started.
        triggers: whose webhooks are served.
        wake: called when something changed.
        clock: seconds since 1970.
        key: what clients send as `Authorization: Bearer KEY`; None: only for loopback.
    """

    def __init__(
        self,
        journal: Journal,
        catalog: Catalog,
        triggers: Triggers,
        wake: Callable[[], None],
        clock: Callable[[], float],
        key: str | None,
    ) -> None:
        self._journal = journal
        self._catalog = catalog
        self._triggers = triggers
        self._wake = wake
        self._clock = clock
        self._key = key
        self._runner: web.AppRunner | None = None

    async def listen(self, host: str, port: int) -> str:
        """Begin to serve; return the address.

        Raises:
            NotAllowed: others could reach it, and there is no key.
            OSError: the port is taken.
        """
        if self._key is None and host not in LOOPBACK:
            raise NotAllowed(
                f"whoever reaches {host} could start and answer runs: set HEADWAY_WORKER_KEY to a "
                "long random text first"
            )
        self._runner = web.AppRunner(self.application(), access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        bound = self._runner.addresses[0][1]
        return f"http://{host}:{bound}"

    async def close(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    def application(self) -> web.Application:
        """All routes."""
        app = web.Application(middlewares=[self._surround], client_max_size=MOST_BYTES)
        app.add_routes(
            [
                web.get("/", self._page),
                web.post("/", self._form),
                web.post("/hooks/{name}", self._hook),
                web.get("/healthz", self._healthz),
                web.post("/v1/runs", self._begin),
                web.get("/v1/runs", self._list),
                web.get("/v1/runs/{run}", self._show),
                web.get("/v1/runs/{run}/graph", self._graph),
                web.post("/v1/runs/{run}/cancel", self._cancel),
                web.post("/v1/runs/{run}/retry", self._retry),
                web.post("/v1/runs/{run}/events/{path:.+}", self._send),
                web.get("/v1/questions", self._questions),
                web.post("/v1/runs/{run}/answers/{path:.+}", self._answer),
            ]
        )
        return app

    @web.middleware
    async def _surround(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        try:
            self._check(request)
            async with asyncio.timeout(MOST_S):
                answer = await handler(request)
            answer.headers.update(SAFE)
            return answer
        except TimeoutError:
            return _refused(408, WorkflowError(f"the request took longer than {MOST_S:g} s"))
        except (UnicodeError, RecursionError) as error:
            return _refused(400, WorkflowError(f"the request is no text that can be read: {error}"))
        except NoSuchRun as error:
            return _refused(404, error)
        except (Answered, NoSuchQuestion, TooLate) as error:
            return _refused(409, error)
        except WrongSignature as error:
            logger.warning("webhook %s: %s", request.path, error)
            return _refused(401, error)
        except (JournalError, WorkflowError, WrongMessage) as error:
            return _refused(400, error)

    def _check(self, request: web.Request) -> None:
        """Raise web.HTTPException unless the client may ask this."""
        if request.path == "/healthz" or request.path.startswith("/hooks/"):
            return  # webhooks are signed
        if self._key is not None:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            given = given or request.cookies.get(COOKIE, "") or request.query.get("key", "")
            if not hmac.compare_digest(given.encode(errors="surrogateescape"), self._key.encode()):
                raise web.HTTPUnauthorized(text="send Authorization: Bearer KEY, or ?key=KEY\n")
        elif request.url.host not in LOOPBACK:  # a page of another site that names this machine
            raise web.HTTPForbidden(text="ask for 127.0.0.1 or localhost\n")
        if request.method == "POST" and request.headers.get("sec-fetch-site", "none") not in (
            "same-origin",
            "none",
        ):
            raise web.HTTPForbidden(text="pages of other sites may not answer\n")
        origin = request.headers.get("origin")
        if request.method == "POST" and origin and URL(origin).authority != request.host:
            raise web.HTTPForbidden(text="pages of other sites may not answer\n")

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _hook(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._triggers.hooks:
            raise web.HTTPNotFound(text=f"there is no webhook {name}\n")
        hook, start_run = self._triggers.hooks[name]
        event = hook.event(
            {key.lower(): value for key, value in request.headers.items()},
            await _within(request, MOST_HOOK_BYTES),
            self._clock(),
        )
        row = await start_run(event)
        return web.json_response({"run": row.id}, status=202)

    async def _begin(self, request: web.Request) -> web.Response:
        body = await _json(request, "workflow", "input", "key")
        name, given, key = body.get("workflow"), body.get("input", {}), body.get("key")
        if not isinstance(name, str) or not isinstance(given, dict) or not _is_text(key):
            raise WorkflowError('send {"workflow": NAME, "input": {…}, "key": EVENT}')
        row = await start(self._journal, self._catalog, self._catalog.named(name), given, key=key)
        self._wake()
        return web.json_response(run_view(row), status=201)

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        try:
            states = [RunState(one) for one in query.getall("state", [])]
            most = min(max(int(query.get("limit", "50")), 1), 1000)
        except ValueError as error:
            raise WorkflowError(str(error)) from None
        found = await self._journal.outlines(
            states=states,
            workflow=query.get("workflow"),
            after=query.get("after"),
            most=most + 1,
        )
        shown = found[:most]
        return web.json_response(
            {
                "runs": [listed_view(one) for one in shown],
                "next": shown[-1].run.id if len(found) > most else None,
                "workflows": sorted(workflow.name for workflow in self._catalog),
            }
        )

    async def _show(self, request: web.Request) -> web.Response:
        row = await self._journal.run(request.match_info["run"])
        steps = await self._journal.steps(row.id)
        return web.json_response(run_view(row) | {"steps": [asdict(one) for one in steps.values()]})

    async def _graph(self, request: web.Request) -> web.Response:
        row, steps = await self._journal.outline(request.match_info["run"])
        nodes = graph_of(steps, await self._catalog.plan_of(row, self._journal))
        return web.json_response(graph_view(row, nodes, steps))

    async def _cancel(self, request: web.Request) -> web.Response:
        row = await self._journal.cancel(request.match_info["run"])
        self._wake()
        return web.json_response(run_view(row))

    async def _retry(self, request: web.Request) -> web.Response:
        body = await _json(request, "from")
        if not _is_text(body.get("from")):
            raise WorkflowError('send {"from": STEP}')
        row = await self._journal.again(request.match_info["run"], body.get("from"), None)
        self._wake()
        return web.json_response(run_view(row))

    async def _send(self, request: web.Request) -> web.Response:
        body = await _value(request, None)
        path = request.match_info["path"]
        row = await self._journal.run(request.match_info["run"])
        text = values.to_json(body, "the data of the event")
        await self._journal.answer(row.id, path, text, "event", kind="event")
        self._wake()
        return web.json_response({"run": row.id, "received": path})

    async def _questions(self, request: web.Request) -> web.Response:
        asked = await self._journal.questions()
        return web.json_response({"questions": [question_view(one) for one in asked]})

    async def _answer(self, request: web.Request) -> web.Response:
        body = await _json(request, "accept", "value", "why", "by")
        if not isinstance(body.get("accept"), bool):
            raise WorkflowError(
                'send {"accept": true}, with {"value": …} for a choice or what was edited, or '
                '{"accept": false, "why": "…"}'
            )
        step = await self._accept(
            request.match_info["run"],
            request.match_info["path"],
            accept=body["accept"],
            value=body.get("value"),
            why=str(body.get("why") or ""),
            by=str(body.get("by") or "the API"),
        )
        return web.json_response(step)

    async def _accept(
        self, run: str, path: str, *, accept: bool, value: Any, why: str, by: str
    ) -> dict[str, Any]:
        row = await self._journal.run(run)
        step = (await self._journal.steps(row.id)).get(path)
        question = Question("") if step is None else Question.of(step.question_json)
        text = question.accept(value) if accept else question.reject(why)
        by = by.replace("\0", "")[:200]  # PostgreSQL has no texts with NUL
        step = await self._journal.answer(row.id, path, text, by)
        self._wake()
        return {"run": step.run, "path": step.path, "answered_by": step.answered_by}

    async def _page(self, request: web.Request) -> web.Response:
        if self._key is not None and "key" in request.query:  # not left in the address
            response = web.Response(status=303, headers={"location": "/"})
            response.set_cookie(COOKIE, self._key, httponly=True, samesite="Strict")
            return response
        html = page(await self._journal.questions(), await self._journal.runs(most=50))
        return web.Response(text=html, content_type="text/html")

    async def _form(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        value: Any = form.get("choice")
        accept = form.get("answer") != "reject"
        if accept and "edit" in form:
            try:
                value = json.loads(form["edit"])
            except ValueError:
                raise WorkflowError("what you edited is no JSON; go back and mend it") from None
        try:
            await self._accept(
                form.get("run", ""),
                form.get("path", ""),
                accept=accept,
                value=value,
                why=form.get("why", ""),
                by=form.get("by") or "the page",
            )
        except (Answered, NoSuchQuestion, TooLate) as error:
            return web.Response(
                text=answered_page(str(error)), content_type="text/html", status=409
            )
        raise web.HTTPSeeOther("/")


async def _json(request: web.Request, *known: str) -> dict[str, Any]:
    """The object in a body. Raises WorkflowError: there is none, or it has unknown fields."""
    body = await _value(request, {})
    if not isinstance(body, dict):
        raise WorkflowError("the body has to be a JSON object")
    if unknown := [name for name in body if name not in known]:
        raise WorkflowError(f"unknown field {unknown[0]!r}; known here: {', '.join(known)}")
    return body


async def _value(request: web.Request, default: Any) -> Any:
    try:
        return await request.json() if request.can_read_body else default
    except ValueError:
        raise WorkflowError("the body is no JSON") from None


async def _within(request: web.Request, most: int) -> bytes:
    """The body, which nobody has signed yet. Raises web.HTTPRequestEntityTooLarge."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > most:
            raise web.HTTPRequestEntityTooLarge(most, len(body))
    return bytes(body)


def _is_text(value: Any) -> bool:
    return value is None or (isinstance(value, str) and "\0" not in value)


def _refused(status: int, error: Exception) -> web.Response:
    return web.json_response({"error": {"message": str(error)}}, status=status)
