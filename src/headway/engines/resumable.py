"""The common part of the clients of llama.cpp and vLLM, which both continue from token ids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from headway.engines.engine import Generation
from headway.engines.missing_ids import produced_ids
from headway.engines.openai_server import OpenAIEngine
from headway.engines.request_body import output_limit, tokens_left, too_long


@dataclass(frozen=True, slots=True)
class Position:
    """State of a generation before its next run."""

    ids: list[int]
    """Token ids of the prompt and of the output so far."""
    prompt_tokens: int
    left: int | None
    """Number of tokens it may still produce, by its limit and the context; None: unlimited."""


class ResumableEngine(OpenAIEngine, ABC):
    """Client of a server that takes token ids as a prompt and reports its health at `/health`."""

    _context_tokens: int | None = None
    _default_completion_tokens: int | None = None
    """Default `max_tokens` of completions; None: no limit."""

    async def check(self) -> None:
        """Requests `/health`. Raises BackendGone."""
        status, _ = await self._http.fetch("/health")
        if status != 200:
            raise self._http.gone(f"GET /health answered {status}")

    async def prompt_tokens(self, generation: Generation) -> int | None:
        """Number of prompt tokens. Raises EngineError and BackendGone."""
        return len(await self._prompt_ids(generation))

    async def _position(self, generation: Generation) -> Position:
        """State before the next run. Raises EngineError if the prompt is refused or too long."""
        if generation.prompt_ids is None:
            generation.prompt_ids = await self._prompt_ids(generation)
        prompt_tokens = len(generation.prompt_ids)
        context_tokens = self._context_tokens
        if context_tokens is not None and prompt_tokens >= context_tokens:
            raise too_long(generation.kind, prompt_tokens, context_tokens)
        ids = generation.prompt_ids + await produced_ids(generation, self._plain_ids)
        completes = generation.kind == "completion"
        default = self._default_completion_tokens if completes else None
        left = tokens_left(generation, output_limit(generation.body, default))
        if context_tokens is not None:
            room = max(0, context_tokens - len(ids))
            left = room if left is None else min(left, room)
        return Position(ids, prompt_tokens, left)

    @abstractmethod
    async def _prompt_ids(self, generation: Generation) -> list[int]:
        """The token ids of the client's prompt. Raises EngineError and BackendGone."""

    @abstractmethod
    async def _plain_ids(self, text: str) -> list[int]:
        """The token ids of `text`, without special tokens."""
