"""The protocol of a dialect: another API whose requests become chat completions."""

from __future__ import annotations

from typing import Protocol

from headway.gateway.api.errors import ApiError


class Events(Protocol):
    """Translates a streamed answer."""

    def feed(self, events: bytes) -> bytes:
        """Translate whole chat completion events.

        Raises:
            ApiError: 502 if one of them is not a chat completion chunk.
        """
        ...

    def end(self) -> bytes:
        """The events that end the stream, after its last chunk."""
        ...

    def failure(self, error: ApiError) -> bytes:
        """The events that end a stream that failed with `error`."""
        ...


class Dialect(Protocol):
    """One request to another API.

    It is scheduled and run as the chat completion `chat`. `answer` translates a whole answer, and
    `events` a streamed one.
    """

    @property
    def chat(self) -> bytes:
        """The body of the same request to `/v1/chat/completions`.

        A stream does not ask for usage, as some backends refuse that; it gets usage anyway.
        """
        ...

    @property
    def events(self) -> Events:
        """Translate a streamed answer."""
        ...

    @property
    def id_header(self) -> str:
        """The header in which its clients expect the request id."""
        ...

    def answer(self, completion: bytes) -> bytes:
        """Translate the body of a whole chat completion.

        Raises:
            ApiError: 502 if `completion` is not a chat completion.
        """
        ...
