"""The protocol that all engine clients implement, and its types."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self

import msgspec

from headway.core.cost import CostModel
from headway.engines.retry_after import retry_after_s

Kind = Literal["chat", "completion"]

VOCABULARY = "#"
"""Between the model and the vocabulary in the name of a lane."""


class EngineError(Exception):
    """The engine answered with an error; `status`, `body` and `headers` are those of its answer.

    Args:
        status: HTTP status.
        body: usually in OpenAI's format.
        message: what is wrong, for the log.
        headers: case-insensitive by name.
        final: retrying is useless, whatever the status.
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
    def transient(self) -> bool:
        """Whether the same request may succeed later or on another backend."""
        return not self.final and (self.status in (408, 425, 429) or self.status >= 500)

    @property
    def backend_specific(self) -> bool:
        """Whether only another backend may succeed: no key, permission or model here."""
        return not self.final and self.status in (401, 403, 404)

    @property
    def retry_after_s(self) -> float | None:
        """Seconds until the request may be retried; None if the engine does not say."""
        return retry_after_s(self.headers, time.time())

    @classmethod
    def invalid(cls, message: str, *, param: str | None = None, code: str | None = None) -> Self:
        """A 400 in OpenAI's format."""
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        return cls(400, msgspec.json.encode({"error": error}), message)


class BackendGone(Exception):
    """The engine is unreachable, died or broke the connection before the end of its answer.

    Args:
        message: what happened, for the log.
        refused: nothing listens at its address.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class BackendSilent(BackendGone):
    """The engine sent nothing for longer than its time limit."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a probe found out about a backend."""

    models: tuple[str, ...]
    """The names that clients use for its models; the first is its default."""
    slots: int | None
    """Number of requests that it runs at once; None if it does not report it."""
    context_tokens: int | None = None
    exact_resume: bool = False
    """Whether it takes token ids as a prompt and returns the ids that it produced."""
    piecewise: bool = False
    """Whether it computes prompts in pieces, by `Engine.prefill`."""
    priority: bool = False
    """Whether it accepts vLLM's `priority` field, even if it does not schedule by it."""
    embeddings: bool = False
    vocabulary: str = ""
    """Fingerprint of its tokenizer: backends that share it can continue each other's answers."""
    parses_chat: bool = False
    """Whether it splits chat answers into reasoning and content: then it can only forward them."""
    tools: bool = True
    """Whether its chat template shows the model what tools there are, as far as known."""
    engine: str = "openai"
    """Its software: llama.cpp, vllm, sglang, ollama, or openai for any other."""
    inputs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What its models take beside text, `image` or `audio`, by their own names, as far as known."""
    cost: CostModel = field(default_factory=CostModel)
    own_names: Mapping[str, str] = field(default_factory=dict)
    """Its own model names by clients' names, for models that the operator renamed."""

    @property
    def lanes(self) -> frozenset[str]:
        """What it serves, for the scheduler: its models, and where it can continue an answer of
        another backend, each with its vocabulary."""
        if not self.exact_resume:
            return frozenset(self.models)
        return frozenset((*self.models, *map(self.pinned, self.models)))

    def pinned(self, model: str) -> str:
        """The lane of a request for `model` that has begun here."""
        return f"{model}{VOCABULARY}{self.vocabulary}"

    def takes(self, model: str) -> frozenset[str]:
        """What `model` takes beside text, as far as known."""
        return self.inputs.get(self.own_name(model), frozenset())

    def own_name(self, model: str) -> str:
        """The backend's own name of `model`."""
        return self.own_names.get(model, model)


@dataclass(slots=True)
class Delta:
    """What one step of a generation added."""

    text: str = ""
    tokens: int = 0
    """Number of output tokens in this delta."""
    finish_reason: str | None = None
    """As in OpenAI's API (`stop`, `length`); set on the last delta only."""
    prompt_tokens: int | None = None
    """Set on the first delta of a run; later ones may repeat it."""
    cached_tokens: int | None = None
    stop_string: str | None = None
    """The stop string that ended the answer, set on the last delta only; None: none, or unknown."""


@dataclass(slots=True)
class Generation:
    """One text generation that the engine can stop and continue exactly.

    The engine's client appends to `pieces` as tokens come. Calling `generate` again with the
    same object, on this backend or another with the same `vocabulary`, continues where it stopped.
    """

    kind: Kind
    body: dict[str, msgspec.Raw]
    """The client's request, with its values unchanged."""
    model: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers to send with every run, such as `traceparent`."""
    prompt_ids: list[int] | None = None
    """Set by the first engine client that tokenises the prompt."""
    pieces: list[Piece] = field(default_factory=list)
    prefilled_tokens: int = 0
    """Prompt tokens that `Engine.prefill` computed for it: its own, though they were cached."""
    already_sent: str = ""
    """Text that the client has but `pieces` no longer has: generated again, not delivered again."""
    _counted: int = field(default=0, init=False, repr=False)
    _tokens: int = field(default=0, init=False, repr=False)

    @property
    def output_tokens(self) -> int:
        """Number of tokens produced and delivered so far, over all runs."""
        if self._counted > len(self.pieces):
            self._counted = self._tokens = 0
        for piece in self.pieces[self._counted :]:
            self._tokens += piece.tokens
        self._counted = len(self.pieces)
        return self._tokens

    def accept(self, piece: Piece) -> str:
        """Append `piece` and return the part of its text that the client does not have yet.

        Raises EngineError if text that was generated again differs from what the client has.
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
        """Drop `pieces[index:]`: their text is generated again, but not delivered again."""
        lost = "".join(piece.text for piece in self.pieces[index:])
        self.already_sent = lost + self.already_sent
        del self.pieces[index:]
        self._counted = self._tokens = 0


@dataclass(slots=True)
class Piece:
    """A part of the answer: text and the token ids that produced it.

    llama.cpp's stream omits the ids of tokens that end inside a UTF-8 character. Then
    `tokens > len(ids)`, and the missing ids are recovered from the text before the next run.
    """

    text: str
    ids: list[int]
    tokens: int


class ForwardedResponse(Protocol):
    """An OpenAI response that is passed through: status, headers, and the body as it arrives."""

    status: int
    headers: Mapping[str, str]
    """Case-insensitive by name."""
    content_type: str

    async def read(self) -> bytes: ...

    async def part(self) -> bytes: ...

    def close(self) -> None: ...


class Engine(Protocol):
    """A client of one backend."""

    name: str
    url: str

    async def describe(self) -> Description:
        """Probe the backend. Raises BackendGone if it cannot be reached."""
        ...

    async def check(self) -> None:
        """Check cheaply that the backend is up. Raises BackendGone if it is not."""
        ...

    async def trial(self, model: str, limit_s: float) -> None:
        """Requests a few tokens from `model`.

        Raises EngineError or BackendGone if the backend cannot serve any client.
        """
        ...

    def generate(self, generation: Generation) -> AsyncIterator[Delta]:
        """Run or continue `generation`; closing the iterator stops the engine's work on it.

        Requires `Description.exact_resume`. Raises EngineError if the engine refuses or fails, and
        BackendGone if it cannot be reached or the answer breaks off.
        """
        ...

    async def prefill(self, generation: Generation, tokens: int) -> bool:
        """Compute the next piece of its prompt into the cache, of at most `tokens`.

        False: what is left is no more than a piece, and `generate` computes it. Requires
        `Description.piecewise`. Raises EngineError and BackendGone as `generate` does.
        """
        ...

    async def prompt_tokens(self, generation: Generation) -> int | None:
        """Number of prompt tokens; None if the server's API has no tokenizer.

        Raises EngineError if the engine refuses the prompt, BackendGone if it cannot be reached.
        """
        ...

    async def forward(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> ForwardedResponse:
        """Post `body` unchanged to `path` (such as `chat/completions`) of its OpenAI API.

        `headers` are sent in addition to the engine client's own.

        Raises BackendGone if there is no response; error statuses are returned as responses.
        """
        ...

    async def close(self) -> None: ...
