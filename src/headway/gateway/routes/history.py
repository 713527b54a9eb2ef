"""What was served: pages of requests, one request's life, figures over time, and CSV."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from math import isfinite
from sqlite3 import Connection
from typing import Any, TypeVar, cast, get_args

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from headway.gateway.api.answer import PRIVATE, SERVER, json_answer
from headway.gateway.api.errors import ApiError, invalid_value, sentence
from headway.gateway.api.history import HistoryPage, HistoryRequest, PredictionView
from headway.gateway.intake.entrance import Entrance
from headway.gateway.routes.files import limit_of
from headway.gateway.routes.moment import moment_of
from headway.store.history.csv_rows import csv_page, header
from headway.store.history.filters import Filters
from headway.store.history.life import Life, stretches
from headway.store.history.log_file import HistoryError
from headway.store.history.one import One, one
from headway.store.history.pages import Cursor, Page, Row, page
from headway.store.history.reader import HistoryReader, TookTooLong
from headway.store.history.series import By, series, step_of
from headway.store.history.slowest import slowest

PAGE, LARGEST_PAGE = 50, 200
CSV_PAGE = 1000
SERIES_S = 24 * 3600.0
"""How far figures go back where the client does not say."""
NAMES = ("tenant", "model", "tier", "outcome", "key", "program")
MEASURES = {"latency": "total_ms", "ttft": "ttft_ms", "wait": "queue_ms"}
"""As the log has them, by their names in queries."""
LEAST = {f"min_{name}_ms": measure for name, measure in MEASURES.items()}
"""Query parameters, and the measures that they limit."""
HISTORY = "/v1/headway/history"
_FILTERS: dict[str, dict[str, Any]] = {
    "since": {
        "type": "string",
        "description": "ISO 8601, an age such as 7d, or seconds since 1970",
    },
    "until": {"type": "string"},
    "tenant": {"type": "string"},
    "model": {"type": "string"},
    "tier": {"type": "string"},
    "outcome": {"type": "string"},
}
ROWS_QUERY: dict[str, dict[str, Any]] = {
    **_FILTERS,
    "key": {"type": "string"},
    "program": {"type": "string"},
    "min_latency_ms": {"type": "number", "minimum": 0},
    "min_ttft_ms": {"type": "number", "minimum": 0},
    "min_wait_ms": {"type": "number", "minimum": 0},
    "after": {"type": "string"},
}
PAGE_QUERY: dict[str, dict[str, Any]] = {
    **ROWS_QUERY,
    "limit": {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE},
    "slowest_by": {"enum": list(MEASURES)},
}
SERIES_QUERY: dict[str, dict[str, Any]] = {
    **_FILTERS,
    "by": {"enum": list(get_args(By))},
    "measure": {"enum": list(MEASURES)},
}
"""What each path takes, as JSON Schemas by name."""

Result = TypeVar("Result")


class HistoryRoutes:
    """Handlers of `/v1/headway/history`.

    Args:
        entrance: says who asks. A key without `admin` sees requests of its own tenant only.
        reader: asks the request log; None: there is none.
    """

    def __init__(self, entrance: Entrance, reader: HistoryReader | None) -> None:
        self._entrance = entrance
        self._reader = reader

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {
            "history": self.page,
            "history_csv": self.csv,
            "history_series": self.series,
            "history_request": self.one,
        }

    async def page(self, request: web.Request) -> web.Response:
        """Some requests, the newest or the slowest first. Raises ApiError 400, 404 or 503."""
        filters, after = self._filters(request), _after(request)
        limit = limit_of(request, PAGE, LARGEST_PAGE)
        question: Callable[[Connection], Page]
        if "slowest_by" in request.query:
            if after is not None:
                raise invalid_value("The slowest requests are one page; leave after out.", "after")
            measure = _measure(request, "slowest_by")
            filters = _bounded(filters)
            question = partial(slowest, filters=filters, measure=measure, limit=limit)
        else:
            question = partial(page, filters=filters, limit=limit, after=after)
        found = await self._ask(question)
        behind = None if found.next is None else str(found.next)
        view = HistoryPage(data=found.rows, next=behind, damaged=found.damaged)
        return json_answer(view, headers=PRIVATE)

    async def series(self, request: web.Request) -> web.Response:
        """Figures over time. Raises ApiError 400, 404 or 503."""
        filters, by = self._filters(request), request.query.get("by")
        if by is not None and by not in get_args(By):
            raise invalid_value(f"by must be one of {', '.join(get_args(By))}.", "by")
        measure = _measure(request, "measure")
        for name in (*LEAST, "key", "program"):
            if name in request.query:
                raise invalid_value(f"Figures cannot be narrowed down by {name}.", name)
        filters = _bounded(filters)
        assert filters.since_s is not None and filters.until_s is not None
        step_s = step_of(filters.since_s, filters.until_s, time.time())
        by_dimension = cast(By | None, by)
        found = await self._ask(
            partial(
                series,
                filters=filters,
                by=by_dimension,
                step_s=step_s,
                measure=measure,
            )
        )
        return json_answer(found, headers=PRIVATE)

    async def one(self, request: web.Request) -> web.Response:
        """One request's life. Raises ApiError 404 or 503."""
        tenant, request_id = self._tenant(request), request.match_info["request_id"]
        try:
            found = await self._ask(partial(one, request_id=request_id, tenant=tenant))
        except msgspec.ValidationError:
            found = None  # a damaged row
        if found is None:
            raise ApiError(
                404,
                f"There is no request {request_id[:100]!r} in the log; it has one once it has "
                "ended.",
                code="request_not_found",
                param="request_id",
            )
        return json_answer(_view(found), headers=PRIVATE)

    async def csv(self, request: web.Request) -> web.StreamResponse:
        """All requests that the filters leave, as CSV. Raises ApiError 400, 404 or 503."""
        lines_of = partial(csv_page, filters=self._filters(request), limit=CSV_PAGE)
        # Before the answer begins: an error still has a status.
        lines, behind = await self._ask(partial(lines_of, after=_after(request)))
        response = web.StreamResponse(headers=CSV)
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        await response.write(header().encode())
        while True:
            await response.write(lines)
            if behind is None:
                return response
            try:
                lines, behind = await self._ask(partial(lines_of, after=behind))
            except ApiError as error:
                raise ConnectionAbortedError(error.message) from None

    async def _ask(self, question: Callable[[Connection], Result]) -> Result:
        if self._reader is None:
            raise ApiError(
                404,
                "This gateway keeps no history; its operator can set log.requests_db.",
                code="history_off",
            )
        try:
            return await self._reader.ask(question)
        except TookTooLong as error:
            raise _unavailable(error, "history_timeout") from None
        except HistoryError as error:
            raise _unavailable(error, "history_unreadable") from None

    def _tenant(self, request: web.Request) -> str | None:
        """The tenant whose requests may be seen; None: everybody's."""
        viewer = self._entrance.viewer(request)
        return None if viewer is None or viewer.admin else viewer.tenant

    def _filters(self, request: web.Request) -> Filters:
        tenant, query = self._tenant(request), request.query
        given: dict[str, Any] = {name: query[name] for name in NAMES if name in query}
        if tenant is not None:
            if given.get("tenant", tenant) != tenant:
                raise ApiError(
                    404,
                    f"This key sees no tenant {given['tenant'][:100]!r}.",
                    code="tenant_not_found",
                    param="tenant",
                )
            given["tenant"] = tenant
        given |= {measure: _number(request, name) for name, measure in LEAST.items()}
        return Filters(
            since_s=moment_of(request, "since"), until_s=moment_of(request, "until"), **given
        )


def _measure(request: web.Request, name: str) -> str:
    """The measure that a parameter names, as the log has it. Raises ApiError 400."""
    asked = request.query.get(name, "latency")
    if asked not in MEASURES:
        raise invalid_value(f"{name} must be one of {', '.join(MEASURES)}.", name)
    return MEASURES[asked]


def _bounded(filters: Filters) -> Filters:
    """From when on and until when: the last day, where the client does not say. Raises ApiError."""
    until_s = time.time() if filters.until_s is None else filters.until_s
    since_s = until_s - SERIES_S if filters.since_s is None else filters.since_s
    if since_s >= until_s:
        raise invalid_value("since must be before until.", "since")
    return msgspec.structs.replace(filters, since_s=since_s, until_s=until_s)


CSV = {
    "Server": SERVER,
    "Content-Type": "text/csv; charset=utf-8",
    "Content-Disposition": 'attachment; filename="requests.csv"',
    **PRIVATE,
}


def _view(found: One) -> HistoryRequest:
    record, life = found.record, found.life or Life()
    headers = {
        "user-agent": life.user_agent,
        "traceparent": life.traceparent,
        "x-headway-tier": record.tier,
        "x-headway-tenant": record.tenant,
        "x-headway-program": record.program,
        "x-headway-step": record.step,
        "x-headway-parents": record.parents,
        "x-headway-expected-tokens": str(life.claimed_tokens or ""),
        "x-headway-deadline-ms": "" if life.deadline_ms is None else f"{life.deadline_ms:.0f}",
    }
    same = {name: getattr(record, name) for name in Row.__struct_fields__}
    return HistoryRequest(
        **same,
        endpoint=life.endpoint,
        stream=None if found.life is None else life.stream,
        policy=record.policy,
        step=record.step,
        parents=record.parents.split(",") if record.parents else [],
        batch=record.batch,
        prompt_name=record.prompt_name,
        prompt_version=record.prompt_version,
        cached_tokens=record.cached_tokens,
        max_tokens=record.max_tokens,
        claimed_tokens=life.claimed_tokens,
        charged_tokens=record.charged_tokens,
        deadline_ms=life.deadline_ms,
        prediction=PredictionView(
            by=life.predicted_by,
            mean=record.predicted_tokens,
            low=life.low_tokens,
            high=life.high_tokens,
            again_at=list(life.looks),
            last_mean=life.last_tokens,
            output_tokens=record.output_tokens,
        ),
        timeline=stretches(record, found.life),
        ahead=found.ahead,
        headers={name: value for name, value in headers.items() if value},
        message=life.message,
        prompt=record.prompt,
    )


def _after(request: web.Request) -> Cursor | None:
    after = request.query.get("after")
    try:
        return None if after is None else Cursor.parse(after)
    except ValueError:
        raise invalid_value("after must be the `next` of a page before.", "after") from None


def _number(request: web.Request, name: str) -> float | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not (isfinite(number) and 0.0 <= number < 1e15):
        raise invalid_value(f"{name} must be a number of ms.", name)
    return number


def _unavailable(error: HistoryError, code: str) -> ApiError:
    return ApiError(503, sentence(error), type="server_error", code=code)
