"""Runs of workflows, as their workers know them: lists, graphs, questions and their answers.

A worker works for one tenant, or for nobody but admins: whose it is decides who sees its runs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from headway.gateway.api.answer import PRIVATE, answer, json_answer
from headway.gateway.api.errors import ApiError
from headway.gateway.api.runs import AnswerRequest, WorkerList, WorkerView
from headway.gateway.http.body import Bodies, parsed
from headway.gateway.intake.entrance import Entrance
from headway.gateway.keys.keys import Caller, who
from headway.gateway.routes.route import Route
from headway.gateway.workers.worker import Worker

logger = logging.getLogger(__name__)

WORKERS = "/v1/headway/workers"
RUNS = f"{WORKERS}/{{worker}}/runs"
RUN = f"{RUNS}/{{run}}"
LIST_QUERY: dict[str, dict[str, Any]] = {
    "state": {"type": "string"},
    "workflow": {"type": "string"},
    "after": {"type": "string", "description": "A run: those that began before it"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 200},
}
ROUTES: tuple[Route, ...] = (
    Route("GET", WORKERS, "workers", "The workers of workflows", None, WorkerList),
    Route("GET", RUNS, "runs", "Runs of workflows, the newest first", query=LIST_QUERY),
    Route("GET", RUN, "run", "One run: its graph and its steps"),
    Route("GET", f"{WORKERS}/{{worker}}/questions", "questions", "What runs ask people now"),
    Route("POST", f"{RUN}/answers", "answer_run", "Answer what a run asks", AnswerRequest),
    Route("POST", f"{RUN}/cancel", "cancel_run", "Cancel a run, and those that it started"),
    Route("POST", f"{RUN}/retry", "retry_run", "Run what failed in a run again"),
)
_ANSWER = msgspec.json.Decoder(AnswerRequest)


class RunsRoutes:
    """Handlers of these routes.

    Args:
        entrance: says who asks.
        bodies: reads the bodies.
        workers: the workers.
    """

    def __init__(self, entrance: Entrance, bodies: Bodies, workers: Sequence[Worker]) -> None:
        self._entrance = entrance
        self._bodies = bodies
        self._workers = workers

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {
            "workers": self.workers,
            "runs": self.runs,
            "run": self.run,
            "questions": self.questions,
            "answer_run": self.answer,
            "cancel_run": self.cancel,
            "retry_run": self.retry,
        }

    async def workers(self, request: web.Request) -> web.Response:
        """The workers whose runs the key may see."""
        caller = self._entrance.viewer(request)
        seen = [WorkerView(one.name, one.tenant) for one in self._workers if _sees(caller, one)]
        return json_answer(WorkerList(seen), headers=PRIVATE)

    async def runs(self, request: web.Request) -> web.Response:
        """Some runs. Raises ApiError 400, 404, 502 or 503."""
        _, worker = self._found(request)
        query = {name: value for name, value in request.query.items() if name in LIST_QUERY}
        return _passed(await worker.ask(("runs",), query))

    async def run(self, request: web.Request) -> web.Response:
        """One run. Raises ApiError 404, 502 or 503."""
        _, worker = self._found(request)
        return _passed(await worker.ask(("runs", request.match_info["run"], "graph")))

    async def questions(self, request: web.Request) -> web.Response:
        """What people are asked. Raises ApiError 404, 502 or 503."""
        _, worker = self._found(request)
        return _passed(await worker.ask(("questions",)))

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a question, in the name of the key. Raises ApiError 400, 404, 409, 502 or 503."""
        caller, worker = self._found(request)
        given: AnswerRequest = parsed(await self._bodies.read(request), _ANSWER)
        run = request.match_info["run"]
        said = {
            "accept": given.accept,
            "value": given.value,
            "why": given.why,
            "by": who(caller),
        }
        path = ("runs", run, "answers", *given.path.split("/"))
        step = await worker.ask(path, json=said)
        what = "accepted" if given.accept else "rejected"
        logger.info("run %s: %s %s, by %s", run[:100], what, given.path[:100], who(caller))
        return _passed(step)

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel a run. Raises ApiError 404, 502 or 503."""
        return await self._asked(request, "cancel")

    async def retry(self, request: web.Request) -> web.Response:
        """Make a run ready again. Raises ApiError 400, 404, 502 or 503."""
        return await self._asked(request, "retry")

    async def _asked(self, request: web.Request, what: str) -> web.Response:
        caller, worker = self._found(request)
        run = request.match_info["run"]
        row = await worker.ask(("runs", run, what), json={})
        logger.info("run %s: %s, by %s", run[:100], what, who(caller))
        return _passed(row)

    def _found(self, request: web.Request) -> tuple[Caller | None, Worker]:
        caller, name = self._entrance.viewer(request), request.match_info["worker"]
        for worker in self._workers:
            if worker.name == name and _sees(caller, worker):
                return caller, worker
        raise ApiError(404, f"There is no worker {name[:100]!r}.", code="worker_not_found")


def _sees(caller: Caller | None, worker: Worker) -> bool:
    return caller is None or caller.admin or (worker.tenant != "" and caller.sees(worker.tenant))


def _passed(body: bytes) -> web.Response:
    return answer(body, headers=PRIVATE)
