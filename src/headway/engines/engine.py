"""The one protocol that every engine speaks to Headway, and its nouns."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self

import msgspec

from headway.core.cost import CostModel
from headway.engines.retry_after import retry_after_s

Kind = Literal["chat", "completion"]


class EngineError(Exception):
    """The engine answered with an error; `status`, `body` and `headers` are its own.

    Args:
        status: HTTP status.
        body: as a rule in OpenAI's shape.
        message: what is wrong, for the log.
        headers: of the answer, by name, whatever its case.
        final: another run would change nothing, whatever the status.
    """

    def __init__(
        self,
        status: int,
        body: bytes,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        final: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.headers = headers or {}
        self.final = final

    @property
    def passing(self) -> bool:
        """Whether the same request may be answered later, or elsewhere."""
        return not self.final and (self.status in (408, 425, 429) or self.status >= 500)

    @property
    def of_this_backend(self) -> bool:
        """Whether only another backend may answer: this one lacks the key, the right, the model."""
        return not self.final and self.status in (401, 403, 404)

    @property
    def retry_after_s(self) -> float | None:
        """When to come back, in seconds from now; None where the engine does not say."""
        return retry_after_s(self.headers, time.time())

    @classmethod
    def invalid(cls, message: str, *, param: str | None = None, code: str | None = None) -> Self:
        """A 400 in OpenAI's shape."""
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        return cls(400, msgspec.json.encode({"error": error}), message)


class BackendGone(Exception):
    """The engine is unreachable, died or broke the connection in the middle.

    Args:
        message: what happened, for the log.
        refused: nobody listens there.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class BackendSilent(BackendGone):
    """Nothing came from the engine for longer than its limit."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a probe found out about a backend. Probed, not guessed."""

    models: tuple[str, ...]
    """What clients call the models it serves; the first is its default."""
    slots: int | None
    """Requests it runs at once, if it reports that, else None."""
    context_tokens: int | None = None
    exact_resume: bool = False
    """Takes token ids as prompt and returns the ids it produced."""
    priority: bool = False
    """Takes vLLM's `priority` field, whether or not it schedules by it."""
    embeddings: bool = False
    vocabulary: str = ""
    """Fingerprint of its tokenizer: equal ones can continue each other's token ids."""
    parses_chat: bool = False
    """Splits chat answers into reasoning and content, so chat can only be forwarded."""
    engine: str = "openai"
    """Which software it is: llama.cpp, vllm, sglang, ollama, openai."""
    cost: CostModel = field(default_factory=CostModel)
    own_names: Mapping[str, str] = field(default_factory=dict)
    """Its own names of them, where clients' names are the operator's."""

    def own_name(self, model: str) -> str:
        """What the backend calls `model`."""
        return self.own_names.get(model, model)


@dataclass(slots=True)
class Delta:
    """What one step of a generation added."""

    text: str = ""
    tokens: int = 0
    """Output tokens in this delta."""
    finish_reason: str | None = None
    """OpenAI's word (`stop`, `length`), on the last delta only."""
    prompt_tokens: int | None = None
    """Set from the first delta that has it."""
    cached_tokens: int | None = None
    stop_string: str | None = None
    """The stop string that ended the answer, on the last delta only; None: none, or unknown."""


@dataclass(slots=True)
class Generation:
    """One text generation that the engine can stop and continue exactly.

    The engine's client appends to `pieces` as tokens come. Calling `generate` again with the
    same object, on this or another backend of equal `vocabulary`, goes on where it stopped.
    """

    kind: Kind
    body: dict[str, msgspec.Raw]
    """The client's request, values untouched."""
    model: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every run, such as `traceparent`."""
    prompt_ids: list[int] | None = None
    """Filled by the first engine that tokenises the prompt."""
    pieces: list[Piece] = field(default_factory=list)
    already_sent: str = ""
    """Text the client has but `pieces` lost: generated again, and not delivered twice."""
    _counted: int = field(default=0, init=False, repr=False)
    _tokens: int = field(default=0, init=False, repr=False)

    @property
    def output_tokens(self) -> int:
        """Tokens produced and delivered so far, over all runs."""
        if self._counted > len(self.pieces):
            self._counted = self._tokens = 0
        for piece in self.pieces[self._counted :]:
            self._tokens += piece.tokens
        self._counted = len(self.pieces)
        return self._tokens

    def accept(self, piece: Piece) -> str:
        """Keep `piece`, and return the part of its text that the client does not have yet.

        Raises EngineError when text that was generated again came out differently.
        """
        self.pieces.append(piece)
        sent = self.already_sent
        if not sent:
            return piece.text
        if piece.text.startswith(sent):
            self.already_sent = ""
            return piece.text[len(sent) :]
        if sent.startswith(piece.text):
            self.already_sent = sent[len(piece.text) :]
            return ""
        message = "the answer could not be continued exactly after an interruption; send it again"
        error = {"message": message, "type": "server_error", "param": None, "code": None}
        raise EngineError(500, msgspec.json.encode({"error": error}), message, final=True)

    def rewind(self, index: int) -> None:
        """Forget `pieces[index:]`: their text is generated again and not delivered twice."""
        lost = "".join(piece.text for piece in self.pieces[index:])
        self.already_sent = lost + self.already_sent
        del self.pieces[index:]
        self._counted = self._tokens = 0


@dataclass(slots=True)
class Piece:
    """Text delivered to the client and the token ids that made it.

    llama.cpp's stream leaves out ids of tokens that end inside a UTF-8 character:
    `tokens > len(ids)` then, and the client finds the missing ones from the text on resume.
    """

    text: str
    ids: list[int]
    tokens: int


class ForwardedResponse(Protocol):
    """An OpenAI response passed through: status, headers, and the body as it comes."""

    status: int
    headers: Mapping[str, str]
    """By name, whatever its case."""
    content_type: str

    async def read(self) -> bytes: ...

    async def part(self) -> bytes: ...

    def close(self) -> None: ...


class Engine(Protocol):
    """A client of one backend."""

    name: str
    url: str

    async def describe(self) -> Description:
        """Probe it. Raises BackendGone when it cannot be reached."""
        ...

    async def check(self) -> None:
        """Ask for a sign of life, cheaply. Raises BackendGone when there is none."""
        ...

    async def trial(self, model: str, limit_s: float) -> None:
        """Ask `model` for a few tokens.

        Raises EngineError or BackendGone when it cannot serve anybody.
        """
        ...

    def generate(self, generation: Generation) -> AsyncIterator[Delta]:
        """Run or continue `generation`; closing the iterator stops the engine's work on it.

        Raises EngineError for the engine's own refusals and BackendGone for everything broken.
        Only offered where `Description.exact_resume`.
        """
        ...

    async def prompt_tokens(self, generation: Generation) -> int | None:
        """Tokens of its prompt; None where the server offers no tokenizer.

        Raises EngineError for the engine's own refusals and BackendGone for everything broken.
        """
        ...

    async def forward(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> ForwardedResponse:
        """POST `body` to its OpenAI API at `path` (`chat/completions`), untouched.

        `headers` are sent beside the client's own.

        Raises BackendGone when no response came; error statuses come back as responses.
        """
        ...

    async def close(self) -> None: ...
