"""The endpoints of Anthropic's Messages API."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from headway.gateway.api.answer import answer, json_answer
from headway.gateway.api.errors import ApiError
from headway.gateway.dialects.dialect import Dialect
from headway.gateway.dialects.messages import Messages
from headway.gateway.dialects.messages_answer import error_body, status_of
from headway.gateway.dialects.messages_request import read_counting
from headway.gateway.http.body import off_loop
from headway.gateway.intake.entrance import Admitted, Entrance
from headway.gateway.routes.token_counts import TokenCounter

PREFIX = "/v1/messages"
MODELS = "/v1/models"


class MessagesRoutes:
    """Handlers of `/v1/messages` and the paths below it."""

    def __init__(self, entrance: Entrance, counter: TokenCounter) -> None:
        self._entrance = entrance
        self._counter = counter

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {"messages_tokens": self.count_tokens}

    async def dialect(self, admitted: Admitted) -> Dialect:
        """The request as a dialect of chat completions. Raises ApiError 400."""
        return await off_loop(Messages, admitted.body)

    async def count_tokens(self, request: web.Request) -> web.Response:
        """Count the tokens of a prompt. Raises ApiError."""
        admitted = await self._entrance.admit(request)
        counted = await self._counter.count(await off_loop(read_counting, admitted.body))
        return json_answer(
            {"input_tokens": counted.tokens, "headway": {"estimated": counted.estimated}}
        )


def is_anthropic_client(request: web.Request) -> bool:
    """Whether a client of Anthropic's API sent this request."""
    path = request.path
    return path.startswith(PREFIX) or (
        path.startswith(MODELS) and "anthropic-version" in request.headers
    )


def refusal(error: ApiError) -> web.Response:
    """`error` as an answer in Anthropic's format."""
    body = msgspec.json.encode(error_body(error))
    return answer(body, status=status_of(error), headers=error.headers)


def model_info(name: str, since: int) -> dict[str, object]:
    """A model in Anthropic's format."""
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": datetime.fromtimestamp(since, UTC).isoformat(),
        "lifecycle": "active",
    }


def model_list(names: list[str], since: int) -> dict[str, object]:
    """All models in Anthropic's format, on one page."""
    return {
        "data": [model_info(name, since) for name in names],
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }
