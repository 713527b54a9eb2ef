"""Anthropic's Messages API as a dialect of chat completions."""

from __future__ import annotations

import msgspec

from headway.gateway.dialects.chat import completion_of
from headway.gateway.dialects.messages_answer import whole
from headway.gateway.dialects.messages_request import read
from headway.gateway.dialects.messages_stream import MessageEvents


class Messages:
    """One request to `/v1/messages`.

    Args:
        body: as the client sent it.

    Raises:
        ApiError: 400, naming the field that is wrong or not supported.
    """

    id_header = "request-id"

    def __init__(self, body: bytes) -> None:
        self._request, chat = read(body)
        self.chat = msgspec.json.encode(chat)
        self.events = MessageEvents(self._request)

    def answer(self, completion: bytes) -> bytes:
        """The whole message. Raises ApiError 502 if `completion` is not a chat completion."""
        return msgspec.json.encode(whole(self._request, completion_of(completion)))
