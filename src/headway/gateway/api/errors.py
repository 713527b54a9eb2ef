"""Every error that a client can see, in OpenAI's format."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import msgspec
from aiohttp import web

from headway.core.decision import Reject, RejectReason
from headway.engines.engine import BackendGone, EngineError
from headway.gateway.api.answer import answer
from headway.gateway.api.upstream_headers import passed_on


class ApiError(Exception):
    """An error answer: HTTP status and the fields of OpenAI's error object.

    Args:
        status: HTTP status.
        message: what is wrong and what to do, in one sentence.
        type: OpenAI's error class, such as `invalid_request_error`.
        code: error code, for programs.
        param: the field or header that is wrong.
        headers: sent with the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.headers = headers or {}
        self.failed_runs = 0
        """How often the request ran and failed; 0: that was not counted."""
        self.settled = False
        """Whether `Accounts` has recorded the request that it ends."""

    def body(self) -> bytes:
        """The body, as in OpenAI's API."""
        error = {
            # It may quote headers, which may hold bytes that are not UTF-8.
            "message": self.message.encode(errors="backslashreplace").decode(),
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return msgspec.json.encode({"error": error})

    def response(self) -> web.Response:
        """The HTTP response."""
        return answer(self.body(), status=self.status, headers=self.headers)

    def event(self) -> bytes:
        """The error as the last events of a stream that has begun."""
        return b"data: " + self.body() + b"\n\ndata: [DONE]\n\n"


def sentence(said: object) -> str:
    """What is said, such as an exception, as a whole sentence."""
    text = str(said).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def invalid_value(message: str, param: str) -> ApiError:
    """A field, header or parameter has a value that it may not have."""
    return ApiError(400, message, code="invalid_value", param=param)


def from_reject(reject: Reject) -> ApiError:
    """The error for a request that the scheduler rejected."""
    retry_after_s = max(1, ceil(reject.retry_after_s))
    if reject.reason is RejectReason.QUEUE_FULL:
        return ApiError(
            429,
            f"The queue is full; it is predicted to have room in {retry_after_s} s.",
            type="rate_limit_error",
            code="queue_full",
            headers={"Retry-After": str(retry_after_s)},
        )
    if reject.reason is RejectReason.DEADLINE:
        return ApiError(
            504,
            f"The deadline cannot be met: the predicted wait is {reject.predicted_wait_s:.2f} s. "
            "Ask for a later deadline, a better tier or fewer tokens.",
            type="timeout_error",
            code="deadline_exceeded",
            headers={"x-should-retry": "false"},
        )
    return ApiError(
        400,
        "The request is larger than any backend's KV cache; shorten the prompt or max_tokens.",
        code="context_length_exceeded",
    )


def from_engine(status: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
    """An engine's error answer, whatever its format, in OpenAI's format."""
    kept = passed_on(headers)
    detail: dict[str, Any] = {}
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        decoded = None
    if isinstance(decoded, dict):
        inner = decoded.get("error", decoded)
        detail = inner if isinstance(inner, dict) else {"message": inner}
    message = detail.get("message") or detail.get("detail")
    if not isinstance(message, str):
        message = body[:500].decode(errors="replace") or f"The backend answered {status}."
    kind, code, param = detail.get("type"), detail.get("code"), detail.get("param")
    if status in (401, 403):
        return ApiError(
            502,
            # Its own message is left out: it may contain the key.
            "The backend rejected Headway's own key; set the backend's api_key.",
            type="server_error",
            code="backend_refused",
            headers=kept,
        )
    if kind == "exceed_context_size_error" or "maximum context length" in message:
        kind, code = "invalid_request_error", "context_length_exceeded"
    if not isinstance(kind, str):
        kind = "server_error" if status >= 500 else "invalid_request_error"
        if status == 429:
            kind = "rate_limit_error"
    return ApiError(
        status,
        message,
        type=kind,
        code=code if isinstance(code, str) else None,
        param=param if isinstance(param, str) else None,
        headers=kept,
    )


def backend_lost(backend: str, reason: str) -> ApiError:
    """A backend failed, and the request can neither be continued nor retried."""
    return ApiError(
        502,
        f"Backend {backend} broke off ({reason}) and this answer cannot be continued exactly; "
        "send the request again.",
        type="server_error",
        code="backend_lost",
    )


def gave_up(runs: int, error: BackendGone | EngineError) -> ApiError:
    """All runs of a request failed: the error answer of the last one, if it had one."""
    if isinstance(error, EngineError):
        answer = from_engine(error.status, error.body, error.headers)
    else:
        times = f"{runs} times in a row, the last time " if runs > 1 else ""
        answer = ApiError(
            502,
            f"The request failed {times}because {error}; try again, or see the backend's log.",
            type="server_error",
            code="backend_lost",
        )
    answer.failed_runs = runs
    return answer


def no_backend(model: str) -> ApiError:
    """No backend that serves `model` can be reached."""
    return ApiError(
        503,
        f"No backend that serves {model!r} can be reached; Headway keeps trying, so try again.",
        type="server_error",
        code="no_backend",
        headers={"Retry-After": "5"},
    )


def internal() -> ApiError:
    """An internal error of Headway."""
    return ApiError(
        500,
        "Headway failed on this request; its log says why.",
        type="server_error",
        code="internal_error",
    )


def cancelled_by_operator() -> ApiError:
    """An operator cancelled the request; clients do not send it again by themselves."""
    return ApiError(
        410,
        "An operator of this gateway cancelled the request; ask them before you send it again.",
        code="cancelled_by_operator",
    )


def shutting_down() -> ApiError:
    """The gateway is shutting down and takes no new requests."""
    return ApiError(
        503,
        "Headway is shutting down; send the request to another instance.",
        type="server_error",
        code="shutting_down",
        headers={"Retry-After": "5"},
    )
