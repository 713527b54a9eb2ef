"""The protocol of a dialect: another API's words for a chat completion."""

from __future__ import annotations

from typing import Protocol

from headway.gateway.api.errors import ApiError


class Events(Protocol):
    """The way back for an answer that is streamed."""

    def feed(self, events: bytes) -> bytes:
        """The events to send now that these whole chat completion events came.

        Raises:
            ApiError: 502 where one of them is no chat completion chunk.
        """
        ...

    def end(self) -> bytes:
        """The events that end the stream, after its last chunk."""
        ...

    def failure(self, error: ApiError) -> bytes:
        """The events that end the stream where it failed with `error`."""
        ...


class Dialect(Protocol):
    """One request in another API's words, and the way back for its answer.

    The request is scheduled and run as the chat completion `chat`. Its answer comes back either
    whole, through `answer`, or through `events`.
    """

    @property
    def chat(self) -> bytes:
        """The body of the same request to `/v1/chat/completions`.

        A stream does not ask for usage, which some backends refuse; it gets it all the same.
        """
        ...

    @property
    def events(self) -> Events:
        """The way back for a stream."""
        ...

    @property
    def id_header(self) -> str:
        """The header in which its clients look for the request's id."""
        ...

    def answer(self, completion: bytes) -> bytes:
        """The body of the whole answer, from that of a chat completion.

        Raises:
            ApiError: 502 where `completion` is no chat completion.
        """
        ...
