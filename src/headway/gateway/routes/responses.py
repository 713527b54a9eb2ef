"""The endpoints of OpenAI's Responses API, with its stored responses."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from headway.gateway.api.answer import answer, json_answer
from headway.gateway.api.errors import ApiError, invalid_value
from headway.gateway.dialects.dialect import Dialect
from headway.gateway.dialects.fields import unsupported
from headway.gateway.dialects.responses import Responses
from headway.gateway.dialects.responses_items import Item
from headway.gateway.dialects.responses_request import ResponsesRequest, prompt_of, read
from headway.gateway.http.body import off_loop
from headway.gateway.intake.entrance import Admitted, Entrance
from headway.gateway.intake.prompts import Prompts
from headway.gateway.keys.keys import Caller
from headway.gateway.routes.token_counts import TokenCounter
from headway.store.responses import ConversationTooLarge, KeptResponse, ResponseStore

PAGE = 20
LARGEST_PAGE = 100


class _Output(msgspec.Struct):
    output: list[Item]


_items = msgspec.json.Decoder(list[Item])
_outputs = msgspec.json.Decoder(_Output)


class ResponsesRoutes:
    """Handlers of `/v1/responses` and the paths below it.

    Args:
        entrance: authenticates requests and reads their bodies.
        prompts: fills registered prompts in.
        counter: counts the tokens of prompts.
        store: keeps responses; None: none are kept.
        most_bytes: maximum size of an earlier conversation that a request continues.
    """

    def __init__(
        self,
        entrance: Entrance,
        prompts: Prompts,
        counter: TokenCounter,
        store: ResponseStore | None,
        most_bytes: int,
    ) -> None:
        self._entrance = entrance
        self._prompts = prompts
        self._counter = counter
        self._store = store
        self._most_bytes = most_bytes

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {
            "responses_tokens": self.count_tokens,
            "response": self.retrieve,
            "delete_response": self.delete,
            "response_input": self.input_items,
        }

    async def dialect(self, admitted: Admitted) -> Dialect:
        """The request as a dialect of chat completions. Raises ApiError 400 or 404."""
        request, fields = await off_loop(read, admitted.body)
        owner = _owner(admitted.caller)
        earlier = await self._earlier(request, owner)

        def keep(id: str, items: bytes, response: bytes) -> None:
            assert self._store is not None
            previous = request.previous_response_id
            self._store.keep(KeptResponse(id, owner, time.time(), previous, items, response))

        return await off_loop(
            lambda _: Responses(request, fields, earlier, keep if self._store else None),
            admitted.body,
        )

    async def count_tokens(self, request: web.Request) -> web.Response:
        """Count the tokens of a prompt. Raises ApiError."""
        admitted = await self._entrance.admit(request)
        admitted = await self._prompts.filled(request.path, admitted)
        asked, _ = await off_loop(read, admitted.body)
        earlier = await self._earlier(asked, _owner(admitted.caller))
        counted = await self._counter.count(prompt_of(asked, earlier))
        return json_answer(
            {
                "object": "response.input_tokens",
                "input_tokens": counted.tokens,
                "headway": {"estimated": counted.estimated},
            }
        )

    async def retrieve(self, request: web.Request) -> web.Response:
        """A kept response. Raises ApiError 404."""
        if request.query.get("stream") == "true":
            raise unsupported(
                "A kept response cannot be streamed again; leave stream out.", "stream"
            )
        return answer((await self._kept(request)).response)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a kept response. Raises ApiError 404."""
        id = request.match_info["response_id"]
        owner = _owner(self._entrance.caller(request))
        if self._store is None or not await self._store.forget(id, owner):
            raise _not_found(id)
        return json_answer({"id": id, "object": "response", "deleted": True})

    async def input_items(self, request: web.Request) -> web.Response:
        """The input of a kept response, page by page. Raises ApiError 400 or 404."""
        items: list[dict[str, Any]] = msgspec.json.decode((await self._kept(request)).input)
        order = request.query.get("order", "desc")
        limit = request.query.get("limit", str(PAGE))
        if order not in ("asc", "desc"):
            raise invalid_value("order must be asc or desc.", "order")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:4]) <= LARGEST_PAGE):
            raise invalid_value(f"limit must be an integer from 1 to {LARGEST_PAGE}.", "limit")
        if order == "desc":
            items.reverse()
        after = request.query.get("after")
        if after is not None:
            places = [place for place, item in enumerate(items) if item["id"] == after]
            if not places:
                raise invalid_value(f"There is no item {after[:100]!r} in this input.", "after")
            items = items[places[0] + 1 :]
        page = items[: int(limit)]
        return json_answer(
            {
                "object": "list",
                "data": page,
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
                "has_more": len(page) < len(items),
            }
        )

    async def _earlier(self, request: ResponsesRequest, owner: str) -> list[Item]:
        """The earlier conversation that `request` continues, oldest item first."""
        id = request.previous_response_id
        if id is None:
            return []
        if self._store is None:
            raise unsupported(
                "previous_response_id is not supported: no responses are kept here; send the "
                "whole conversation as input.",
                "previous_response_id",
            )
        try:
            kept = await self._store.conversation(id, owner, self._most_bytes)
        except ConversationTooLarge:
            raise ApiError(
                413,
                f"The earlier conversation exceeds {self._most_bytes} bytes; begin a new one.",
                code="body_too_large",
                param="previous_response_id",
            ) from None
        if kept is None:
            raise ApiError(
                404,
                f"The previous response {id[:100]!r} or one before it is not kept here: it was "
                "deleted, is too old, or had store: false; send the whole conversation as input.",
                code="previous_response_not_found",
                param="previous_response_id",
            )
        items: list[Item] = []
        for one in kept:
            items += _items.decode(one.input)
            items += _outputs.decode(one.response).output
        return items

    async def _kept(self, request: web.Request) -> KeptResponse:
        id = request.match_info["response_id"]
        owner = _owner(self._entrance.caller(request))
        kept = None if self._store is None else await self._store.find(id, owner)
        if kept is None:
            raise _not_found(id)
        return kept


def _owner(caller: Caller | None) -> str:
    """The owner of a caller's responses: its tenant; empty if the gateway is open."""
    return "" if caller is None else caller.tenant


def _not_found(id: str) -> ApiError:
    return ApiError(
        404,
        f"The response {id[:100]!r} is not kept here: it was deleted, is too old, or had "
        "store: false.",
        code="response_not_found",
        param="response_id",
    )
