"""vLLM: generations that can be stopped and continued by token ids, if it returns them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from headway.core.cost import CostModel
from headway.engines.endpoint import Endpoint
from headway.engines.engine import (
    BackendGone,
    Delta,
    Description,
    EngineError,
    Generation,
    Piece,
)
from headway.engines.openai_server import PROBE_TEXT, inputs_of, refusal
from headway.engines.reported import reported_count
from headway.engines.request_body import min_tokens, sampling_fields, text_prompt
from headway.engines.resumable import Position, ResumableEngine

_TEMPLATE_FIELDS = (
    "messages",
    "add_generation_prompt",
    "continue_final_message",
    "chat_template",
    "chat_template_kwargs",
    "add_special_tokens",
)


class VllmEngine(ResumableEngine):
    """Client of one vLLM server."""

    _default_completion_tokens = 16

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint, kind="vllm")
        self._probed: _Abilities | None = None
        self._model = ""

    async def describe(self) -> Description:
        """Requests its models; the first time, probes its abilities. Raises BackendGone."""
        listed = await self._models()
        models = self._names(listed)
        self._context_tokens = reported_count(listed[0].max_model_len) if listed else None
        self._model = listed[0].id if listed else self._own_name(models[0])
        if self._probed is None:
            self._probed = await self._probe(self._model)
        return Description(
            models=models,
            own_names=self._own_names,
            slots=None,
            context_tokens=self._context_tokens,
            exact_resume=bool(self._probed.vocabulary),
            priority=self._probed.priority,
            embeddings=self._probed.embeddings,
            vocabulary=self._probed.vocabulary,
            parses_chat=self._probed.parses_chat,
            # Other requests may evict the KV cache of a stopped one: assume that all is recomputed.
            cost=CostModel(recompute_share=1.0),
            engine=self.kind,
            inputs=self._inputs(listed, inputs_of(listed)),
        )

    async def generate(self, generation: Generation) -> AsyncIterator[Delta]:
        """Run or continue `generation`; closing the iterator aborts it in the engine.

        Raises EngineError if the engine refuses or fails, and BackendGone if it cannot be reached
        or the answer breaks off.
        """
        position = await self._position(generation)
        if position.left == 0:
            yield Delta(finish_reason="length", prompt_tokens=position.prompt_tokens)
            return
        response = await self.forward(
            "completions", self._request(generation, position), generation.headers
        )
        try:
            if response.status != 200:
                raise await refusal(response)
            held: list[int] = []  # ids whose text has not arrived yet; stored with it
            unreported: int | None = position.prompt_tokens
            async for event in response.events():
                if event == b"[DONE]":
                    break
                chunk = _decode_chunk(event)
                if chunk.error is not None:
                    body = msgspec.json.encode({"error": chunk.error})
                    raise EngineError(500, body, str(chunk.error))
                for choice in chunk.choices:
                    held += choice.token_ids or []
                    if not choice.text and choice.finish_reason is None:
                        continue
                    tokens = len(held)
                    text = generation.accept(Piece(choice.text, held, tokens))
                    held = []
                    if text or choice.finish_reason is not None:
                        yield Delta(text, tokens, choice.finish_reason, unreported)
                        unreported = None
                    if choice.finish_reason is not None:
                        return
            raise self._http.gone("the stream broke off before its end")
        finally:
            response.close()

    def _request(self, generation: Generation, position: Position) -> bytes:
        body: dict[str, Any] = dict(sampling_fields(generation.body))
        for field in _TEMPLATE_FIELDS:
            body.pop(field, None)
        body["model"] = self._own_name(generation.model)
        body["prompt"] = position.ids
        if position.left is not None:
            body["max_tokens"] = position.left
        if "min_tokens" in body:
            body["min_tokens"] = max(0, min_tokens(generation.body) - generation.output_tokens)
        priority = bytes(generation.body.get("priority") or b"null")
        if priority != b"null" and self._probed and self._probed.priority:
            body["priority"] = msgspec.Raw(priority)
        body["stream"] = body["return_token_ids"] = True
        return msgspec.json.encode(body)

    async def _prompt_ids(self, generation: Generation) -> list[int]:
        asked: dict[str, Any] = {"model": self._own_name(generation.model)}
        if generation.kind == "completion":
            prompt = text_prompt(generation.body)
            if isinstance(prompt, list):
                return prompt
            asked["prompt"] = prompt
            if "add_special_tokens" in generation.body:
                asked["add_special_tokens"] = generation.body["add_special_tokens"]
            return await self._tokenize(asked)
        given = {k: generation.body[k] for k in _TEMPLATE_FIELDS if k in generation.body}
        return await self._tokenize(asked | given)

    async def _plain_ids(self, text: str) -> list[int]:
        asked = {"model": self._model, "prompt": text, "add_special_tokens": False}
        return await self._tokenize(asked)

    async def _tokenize(self, asked: dict[str, Any]) -> list[int]:
        response = await self.forward("/tokenize", msgspec.json.encode(asked))
        try:
            if response.status != 200:
                raise await refusal(response)
            return msgspec.json.decode(await response.read(), type=_Tokens).tokens
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._http.gone("/tokenize answered in a format that is not vLLM's") from None
        finally:
            response.close()

    async def _probe(self, model: str) -> _Abilities:
        """Probe token ids as input and output, `priority`, embeddings, and chat parsing."""
        embeddings = await self._embeds(model)
        asked = {"model": model, "prompt": PROBE_TEXT, "add_special_tokens": False}
        tokens = await self._http.ask("/tokenize", _Tokens, asked)
        if tokens is None or not tokens.tokens:
            return _Abilities(embeddings=embeddings)
        once = {"model": model, "prompt": tokens.tokens, "max_tokens": 1, "temperature": 0}
        once["return_token_ids"] = True
        answer = await self._http.ask("completions", _Chunk, once | {"priority": 1})
        priority = answer is not None
        answer = answer or await self._http.ask("completions", _Chunk, once)
        if answer is None or not answer.choices or not answer.choices[0].token_ids:
            return _Abilities(priority=priority, embeddings=embeddings)
        if answer.choices[0].prompt_token_ids not in (None, tokens.tokens):
            return _Abilities(priority=priority, embeddings=embeddings)
        return _Abilities(
            hashlib.sha256(repr(tokens.tokens).encode()).hexdigest()[:16],
            priority,
            embeddings,
            await self._parses_chat(model),
        )

    async def _parses_chat(self, model: str) -> bool:
        """Whether the first tokens of a chat answer appear outside its content."""
        asked = {"model": model, "max_tokens": 4, "temperature": 0}
        asked["messages"] = [{"role": "user", "content": "Say hello."}]
        answer = await self._http.ask("chat/completions", _Chat, asked)
        if answer is None or not answer.choices:
            return False
        message = answer.choices[0].message
        return bool(message.reasoning or message.reasoning_content) or not message.content


def _decode_chunk(event: bytes) -> _Chunk:
    try:
        return _chunks.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BackendGone(f"vLLM sent an event that cannot be read: {event[:100]!r}") from None


class _Abilities(msgspec.Struct, frozen=True):
    vocabulary: str = ""
    """Empty if it does not take token ids or does not return those that it produced."""
    priority: bool = False
    embeddings: bool = False
    parses_chat: bool = False


class _Tokens(msgspec.Struct):
    tokens: list[int]


class _Choice(msgspec.Struct):
    text: str = ""
    finish_reason: str | None = None
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    error: dict[str, Any] | str | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _ChatChoice(msgspec.Struct):
    message: _Message


class _Chat(msgspec.Struct):
    choices: list[_ChatChoice]


_chunks = msgspec.json.Decoder(_Chunk)
