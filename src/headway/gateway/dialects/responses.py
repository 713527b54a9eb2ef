"""OpenAI's Responses API as a dialect of chat completions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from headway.gateway.dialects.chat import completion_of
from headway.gateway.dialects.responses_answer import ResponseObject, fill
from headway.gateway.dialects.responses_items import Item, listed
from headway.gateway.dialects.responses_request import ResponsesRequest, chat_of
from headway.gateway.dialects.responses_stream import ResponseEvents

Keep = Callable[[str, bytes, bytes], None]
"""Called with a response's id, and its input items and the response as JSON."""


class Responses:
    """One request to `/v1/responses`.

    Args:
        request: from `responses_request.read`.
        fields: from `responses_request.read`.
        earlier: the conversation that `previous_response_id` refers to.
        keep: called at the end, if the client wants the response kept; None: it is not kept.

    Raises:
        ApiError: 400, naming the field that is wrong or not supported.
    """

    id_header = "x-request-id"

    def __init__(
        self,
        request: ResponsesRequest,
        fields: dict[str, Any],
        earlier: Sequence[Item] = (),
        keep: Keep | None = None,
    ) -> None:
        self.chat = msgspec.json.encode(chat_of(request, fields, earlier))
        self._keep = None if request.store is False else keep
        self._input = listed(fields["input"]) if self._keep else []
        self._response = ResponseObject(request, fields, self._keep is not None)
        self.events = ResponseEvents(self._response, self._ended)

    def answer(self, completion: bytes) -> bytes:
        """The whole response. Raises ApiError 502 if `completion` is not a chat completion."""
        fill(self._response, completion_of(completion))
        return self._ended(self._response.ended())

    def _ended(self, response: dict[str, Any]) -> bytes:
        body = msgspec.json.encode(response)
        if self._keep is not None:
            self._keep(self._response.id, msgspec.json.encode(self._input), body)
        return body
