"""The worker's HTTP server: webhooks, an API of runs, and a page on which people answer."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from headway.workflows.catalog import Catalog
from headway.workflows.errors import WorkflowError
from headway.workflows.http.page import answered_page, page
from headway.workflows.journal.errors import Answered, JournalError, NoSuchRun, TooLate
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import RunRow, RunState
from headway.workflows.question import Question
from headway.workflows.starting import start
from headway.workflows.triggers.runner import Triggers
from headway.workflows.triggers.signatures import WrongSignature
from headway.workflows.triggers.webhook import WrongMessage

logger = logging.getLogger(__name__)

MOST_BYTES = 16 * 2**20
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
            return await handler(request)
        except NoSuchRun as error:
            return _refused(404, error)
        except (Answered, TooLate) as error:
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
            if not hmac.compare_digest(given.encode(), self._key.encode()):
                raise web.HTTPUnauthorized(text="send Authorization: Bearer KEY, or ?key=KEY\n")
        elif request.url.host not in LOOPBACK:  # a page of another site that names this machine
            raise web.HTTPForbidden(text="ask for 127.0.0.1 or localhost\n")
        if request.method == "POST" and request.headers.get("sec-fetch-site", "none") not in (
            "same-origin",
            "none",
        ):
            raise web.HTTPForbidden(text="pages of other sites may not answer\n")

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _hook(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        hook = self._triggers.hooks.get(name)
        if hook is None:
            raise web.HTTPNotFound(text=f"there is no webhook {name}\n")
        event = hook.event(
            {key.lower(): value for key, value in request.headers.items()},
            await request.read(),
            self._clock(),
        )
        row = await self._triggers.webhooks[name](event)
        return web.json_response({"run": row.id}, status=202)

    async def _begin(self, request: web.Request) -> web.Response:
        body = await _json(request, "workflow", "input", "key")
        name, given, key = body.get("workflow"), body.get("input", {}), body.get("key")
        if not isinstance(name, str) or not isinstance(given, dict):
            raise WorkflowError('send {"workflow": NAME, "input": {…}}')
        row = await start(self._journal, self._catalog, self._catalog.named(name), given, key=key)
        self._wake()
        return web.json_response(_view(row), status=201)

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        try:
            states = [RunState(one) for one in query.getall("state", [])]
            most = min(max(int(query.get("limit", "50")), 1), 1000)
            before = float(query["before"]) if "before" in query else None
        except ValueError as error:
            raise WorkflowError(str(error)) from None
        rows = await self._journal.runs(
            states=states, workflow=query.get("workflow"), before=before, most=most
        )
        return web.json_response({"runs": [_view(row) for row in rows]})

    async def _show(self, request: web.Request) -> web.Response:
        row = await self._journal.run(request.match_info["run"])
        steps = await self._journal.steps(row.id)
        return web.json_response(_view(row) | {"steps": [asdict(one) for one in steps.values()]})

    async def _cancel(self, request: web.Request) -> web.Response:
        row = await self._journal.cancel(request.match_info["run"])
        self._wake()
        return web.json_response(_view(row))

    async def _retry(self, request: web.Request) -> web.Response:
        body = await _json(request, "from")
        row = await self._journal.again(request.match_info["run"], body.get("from"), None)
        self._wake()
        return web.json_response(_view(row))

    async def _send(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        path = request.match_info["path"]
        row = await self._journal.run(request.match_info["run"])
        await self._journal.answer(row.id, path, json.dumps(body), "event", lambda _: None)
        self._wake()
        return web.json_response({"run": row.id, "received": path})

    async def _questions(self, request: web.Request) -> web.Response:
        asked = await self._journal.questions()
        return web.json_response(
            {
                "questions": [
                    {
                        "run": one.run,
                        "path": one.path,
                        "due_at": one.due_at,
                        "question": json.loads(one.question_json or "null"),
                    }
                    for one in asked
                ]
            }
        )

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
            why=str(body.get("why", "")),
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
        step = await self._journal.answer(row.id, path, text, by, lambda _: None)
        self._wake()
        return {"run": step.run, "path": step.path, "answered_by": step.answered_by}

    async def _page(self, request: web.Request) -> web.Response:
        html = page(await self._journal.questions(), await self._journal.runs(most=50))
        response = web.Response(text=html, content_type="text/html")
        if self._key is not None and request.query.get("key") == self._key:
            response.set_cookie(COOKIE, self._key, httponly=True, samesite="Strict")
        return response

    async def _form(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        value: Any = form.get("choice")
        if "edit" in form:
            try:
                value = json.loads(form["edit"])
            except ValueError:
                raise WorkflowError("what you edited is no JSON; go back and mend it") from None
        try:
            await self._accept(
                form.get("run", ""),
                form.get("path", ""),
                accept=form.get("answer") != "reject",
                value=value,
                why=form.get("why", ""),
                by=form.get("by") or "the page",
            )
        except (Answered, TooLate) as error:
            return web.Response(
                text=answered_page(str(error)), content_type="text/html", status=409
            )
        raise web.HTTPSeeOther("/")


async def _json(request: web.Request, *known: str) -> dict[str, Any]:
    """The object in a body. Raises WorkflowError: there is none, or it has unknown fields."""
    try:
        body = await request.json() if request.can_read_body else {}
    except ValueError:
        raise WorkflowError("the body is no JSON") from None
    if not isinstance(body, dict):
        raise WorkflowError("the body has to be a JSON object")
    if unknown := [name for name in body if name not in known]:
        raise WorkflowError(f"unknown field {unknown[0]!r}; known here: {', '.join(known)}")
    return body


def _view(row: RunRow) -> dict[str, Any]:
    kept = asdict(row)
    for name in ("input", "output", "error"):
        text = kept.pop(f"{name}_json")
        kept[name] = None if text is None else json.loads(text)
    return kept


def _refused(status: int, error: Exception) -> web.Response:
    return web.json_response({"error": {"message": str(error)}}, status=status)
