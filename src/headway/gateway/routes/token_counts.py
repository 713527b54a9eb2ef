"""Counts the tokens of a prompt without running it."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from headway.engines.engine import BackendGone, EngineError, Generation
from headway.engines.pool import BackendPool
from headway.gateway.api.errors import from_engine
from headway.gateway.intake.given import estimated_prompt_tokens, read
from headway.gateway.intake.model_names import ModelNames

CHAT = "/v1/chat/completions"


class TokenCount(NamedTuple):
    """The number of tokens of a prompt."""

    tokens: int
    estimated: bool
    """Whether no backend could count them: estimated from the prompt's length."""


class TokenCounter:
    """Counts prompts on backends that have the model's tokenizer.

    Args:
        models: the names of models.
        pool: the backends.
    """

    def __init__(self, models: ModelNames, pool: BackendPool) -> None:
        self._models = models
        self._pool = pool

    async def count(self, chat: dict[str, Any]) -> TokenCount:
        """The number of prompt tokens of a chat completion with these fields.

        Raises:
            ApiError: 400, 404 or 503, or the backend's own error.
        """
        model = self._models.model(chat["model"])
        body = msgspec.json.encode({**chat, "model": model})
        call, fields = read(CHAT, body)
        generation = Generation(kind="chat", body=fields, model=model)
        for name, status in self._pool.statuses.items():
            description = status.description
            if not status.healthy or description is None or model not in description.models:
                continue
            try:
                tokens = await self._pool.engine(name).prompt_tokens(generation)
            except BackendGone:
                continue
            except EngineError as error:
                raise from_engine(error.status, error.body, error.headers) from None
            if tokens is not None:
                return TokenCount(tokens, False)
        return TokenCount(estimated_prompt_tokens(call, body), True)
