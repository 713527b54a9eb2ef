"""Errors as answers in the format of the API that was asked, and what is written down of them."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from headway.gateway.accounts.refusals import Refusal
from headway.gateway.api.errors import ApiError
from headway.gateway.intake.intake import MOST_USER_AGENT
from headway.gateway.routes.messages import is_anthropic_client
from headway.gateway.routes.messages import refusal as refusal_of_messages
from headway.gateway.routes.open_inference import PREFIX
from headway.gateway.routes.open_inference import refusal as refusal_of_tensors

OF_PAGES = ("host_not_allowed", "origin_not_allowed")
"""Refusals of web pages: any page that somebody reads can bring them about, without a key."""


def answer_of(request: web.Request, error: ApiError) -> web.Response:
    """The answer to a request that ends with `error`."""
    if request.path.startswith(PREFIX):
        response = refusal_of_tensors(error)
    elif is_anthropic_client(request):
        response = refusal_of_messages(error)
    else:
        response = error.response()
    if error.status in (408, 413):
        response.force_close()  # the rest of the body is not read
    return response


def refusal_of(request: web.Request, error: ApiError, tenant: str | None, work: bool) -> Refusal:
    """What is written down of it; see `Refusal` for `tenant` and `work`."""
    if error.code in OF_PAGES:
        tenant = None
    return Refusal(
        request.method,
        request.path,
        request.remote or "an unknown address",
        tenant,
        work,
        error.status,
        error.code or "invalid",
        error.message,
        request.headers.get("User-Agent", "")[:MOST_USER_AGENT],
    )


def from_router(request: web.Request, error: web.HTTPException) -> ApiError:
    """The error for a request that aiohttp's router refuses."""
    if request.method == "CONNECT":
        return ApiError(
            400, "Headway is not a proxy and does not support CONNECT.", code="invalid_http"
        )
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return ApiError(
            405,
            f"{request.path} takes {allowed}, not {request.method}.",
            code="method_not_allowed",
            headers={"Allow": allowed},
        )
    if error.status == HTTPStatus.NOT_FOUND:
        return ApiError(
            404,
            f"There is no {request.path}; {_nearest(request)}see /docs for the paths that exist.",
            code="not_found",
        )
    return ApiError(error.status, f"{error.reason}.", code="invalid_http")


def _nearest(request: web.Request) -> str:
    """Which path was meant, where it is one that exists with too much, or too little, before it."""
    asked = request.path.rstrip("/")
    for resource in request.app.router.resources():
        path = resource.canonical
        if len(path) > 1 and asked and (asked.endswith(path) or path.endswith(asked)):
            return f"did you mean {path}? Else "
    return ""


NO_VERSION = ApiError(
    505, "This version of HTTP is not supported; use HTTP/1.1.", code="invalid_http"
)
