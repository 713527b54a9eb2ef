"""llama.cpp's server: generations that can be stopped and continued by token ids."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from headway.engines.computed_prompts import ComputedPrompts
from headway.engines.endpoint import Endpoint
from headway.engines.engine import (
    BackendGone,
    Delta,
    Description,
    EngineError,
    Generation,
    Piece,
)
from headway.engines.measured_cost import MeasuredCost
from headway.engines.openai_server import PROBE_TEXT, refusal
from headway.engines.reported import Count, reported_count
from headway.engines.request_body import sampling_fields, stop_strings, text_prompt, too_long
from headway.engines.resumable import Position, ResumableEngine

_THINKING = ("<think>", "reasoning_content", "<|channel|>")
"""Markers of chat templates whose answers llama.cpp splits into reasoning and content."""
_TOOL = {
    "type": "function",
    "function": {
        "name": "probe_of_tools",
        "description": "A probe.",
        "parameters": {"type": "object", "properties": {}},
    },
}
"""Its name can be found again in a prompt."""
_GROWTH = 0.4
"""Most of a piece, over what was computed before it: the engine finds its slot again only if that
holds most of the prompt (see `llama_child`)."""


class LlamaCppEngine(ResumableEngine):
    """Client of one llama.cpp server."""

    def __init__(self, endpoint: Endpoint, cost: MeasuredCost | None = None) -> None:
        """`cost` is its measured speed so far, updated by every generation."""
        # The server closes keep-alive connections after some requests, without notice.
        super().__init__(endpoint, kind="llama.cpp", keep_alive=False)
        self._cost = cost or MeasuredCost()
        self._computed = ComputedPrompts()
        self._embeddings: bool | None = None
        self._tools = True

    async def describe(self) -> Description:
        """Requests its model, slots and template; the first time, also measures its speed.

        Raises BackendGone if it does not answer or is still loading its model.
        """
        props = await self._http.ask("/props", _Props)
        if props is None:
            raise self._http.gone("it does not report its properties yet; it may be loading")
        listed = await self._models()
        models = self._names(listed)
        self._context_tokens = reported_count(props.default_generation_settings.n_ctx)
        ids = await self._tokenize(PROBE_TEXT, add_special=False)
        if self._embeddings is None:
            self._embeddings = await self._embeds(self._own_name(models[0]))
            self._tools = await self._shows_tools()
            if not self._cost.known:
                await self._try_speed(ids)
        return Description(
            models=models,
            own_names=self._own_names,
            slots=reported_count(props.total_slots) or None,
            context_tokens=self._context_tokens,
            exact_resume=True,
            piecewise=True,
            embeddings=self._embeddings,
            vocabulary=hashlib.sha256(repr(ids).encode()).hexdigest()[:16],
            parses_chat=any(mark in props.chat_template for mark in _THINKING),
            tools=self._tools,
            engine=self.kind,
            inputs=self._inputs(
                listed, {self._own_name(model): props.modalities.inputs for model in models}
            ),
            cost=self._cost.model,
        )

    async def generate(self, generation: Generation) -> AsyncIterator[Delta]:
        """Run or continue `generation`; closing the iterator frees the slot within a step.

        Raises EngineError if the engine refuses or fails, and BackendGone if it cannot be reached
        or the answer breaks off.
        """
        position = await self._position(generation)
        prompt_tokens = position.prompt_tokens
        if position.left == 0:
            yield Delta(finish_reason="length", prompt_tokens=prompt_tokens)
            return
        self._computed.add(position.ids, generation)
        response = await self.forward(
            "/completion", self._request(generation, position), generation.headers
        )
        try:
            if response.status != 200:
                raise _in_openai_format(await refusal(response), generation)
            seen = 0
            held: list[int] = []  # ids whose text has not arrived yet; stored with it
            held_tokens = 0
            unreported: int | None = prompt_tokens
            async for event in response.events():
                chunk = _decode_chunk(event)
                new = chunk.tokens_predicted - seen
                if new > 0:
                    seen = chunk.tokens_predicted
                    held += chunk.tokens
                    held_tokens += new
                if chunk.stop:
                    text = generation.accept(Piece(chunk.content, held, held_tokens))
                    self._learn(chunk.timings)
                    yield Delta(
                        text=text,
                        tokens=held_tokens,
                        finish_reason="length" if chunk.stop_type == "limit" else "stop",
                        stop_string=chunk.stopping_word or None,
                        prompt_tokens=prompt_tokens,
                        cached_tokens=max(
                            0,
                            min(chunk.timings.cache_n, prompt_tokens) - generation.prefilled_tokens,
                        ),
                    )
                    return
                if chunk.content:
                    text = generation.accept(Piece(chunk.content, held, held_tokens))
                    if text:
                        yield Delta(text=text, tokens=held_tokens, prompt_tokens=unreported)
                        unreported = None
                    held = []
                    held_tokens = 0
                elif chunk.error is not None:
                    raise _stream_error(chunk.error)
            raise self._http.gone("the stream broke off before its end")
        finally:
            response.close()

    async def prefill(self, generation: Generation, tokens: int) -> bool:
        """Compute the next piece of its prompt into the cache, of at most `tokens`.

        False: what is left is no more than a piece, and `generate` computes it. It does also
        where the client wants the whole prompt computed at once (`cache_prompt`: false).
        """
        if bytes(generation.body.get("cache_prompt", b"")) == b"false":
            return False
        ids = (await self._position(generation)).ids
        known = self._computed.shared(ids)
        if len(ids) - known <= tokens:
            return False
        end = known + (max(1, min(tokens, int(_GROWTH * known))) if known else tokens)
        asked = {"prompt": ids[:end], "n_predict": 0}
        done: _Chunk = await self._post("/completion", asked, _Chunk)
        self._computed.add(ids[:end], generation)
        self._cost.prefilled(done.timings.prompt_n, done.timings.prompt_ms / 1000)
        generation.prefilled_tokens += done.timings.prompt_n
        return True

    def _request(self, generation: Generation, position: Position) -> bytes:
        body: dict[str, Any] = dict(sampling_fields(generation.body))
        body["prompt"] = position.ids
        body["n_predict"] = -1 if position.left is None else position.left
        if "stop" in body:
            body["stop"] = stop_strings(generation.body)
        body["stream"] = body["return_tokens"] = True
        if generation.output_tokens:
            body["cache_prompt"] = True  # the tokens so far are in the cache
        return msgspec.json.encode(body)

    async def _prompt_ids(self, generation: Generation) -> list[int]:
        if generation.kind == "completion":
            prompt = text_prompt(generation.body)
            return prompt if isinstance(prompt, list) else await self._tokenize(prompt)
        prompt = await self._post("/apply-template", generation.body, _Templated)
        # The template adds its own BOS if it needs one.
        return await self._tokenize(prompt.prompt, add_special=False)

    async def _tokenize(self, text: str, *, add_special: bool = True) -> list[int]:
        asked = {"content": text, "add_special": add_special, "parse_special": True}
        answer: _Tokens = await self._post("/tokenize", asked, _Tokens)
        return answer.tokens

    async def _plain_ids(self, text: str) -> list[int]:
        return await self._tokenize(text, add_special=False)

    async def _post(self, path: str, body: object, expect: type[Any]) -> Any:
        response = await self.forward(path, msgspec.json.encode(body))
        try:
            if response.status != 200:
                raise await refusal(response)
            return msgspec.json.decode(await response.read(), type=expect)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._http.gone(f"{path} answered in a format that is not llama.cpp's") from None
        finally:
            response.close()

    async def _shows_tools(self) -> bool:
        asked = {"messages": [{"role": "user", "content": PROBE_TEXT}], "tools": [_TOOL]}
        shown = await self._http.ask("/apply-template", _Templated, asked)
        return shown is None or "probe_of_tools" in shown.prompt

    async def _try_speed(self, ids: list[int]) -> None:
        asked = {"prompt": ids, "n_predict": 4, "cache_prompt": False, "ignore_eos": True}
        done = await self._http.ask("/completion", _Chunk, asked)
        if done is not None:
            self._learn(done.timings)

    def _learn(self, timings: _Timings) -> None:
        self._cost.prefilled(timings.prompt_n, timings.prompt_ms / 1000)
        self._cost.decoded(timings.predicted_n - 1, timings.predicted_ms / 1000)


def _in_openai_format(error: Exception, generation: Generation) -> Exception:
    if not isinstance(error, EngineError) or b"exceed_context_size_error" not in error.body:
        return error
    try:
        details = msgspec.json.decode(error.body, type=_TooLong).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return error
    return too_long(generation.kind, details.n_prompt_tokens, details.n_ctx)


def _stream_error(error: dict[str, Any] | str) -> EngineError:
    return EngineError(500, msgspec.json.encode({"error": error}), str(error))


class _Timings(msgspec.Struct):
    cache_n: int = 0
    prompt_n: int = 0
    prompt_ms: float = 0.0
    predicted_n: int = 0
    predicted_ms: float = 0.0


class _Chunk(msgspec.Struct):
    content: str = ""
    tokens: list[int] = []
    stop: bool = False
    tokens_predicted: Count = 0
    stop_type: str = ""
    stopping_word: str = ""
    timings: _Timings = msgspec.field(default_factory=_Timings)
    error: dict[str, Any] | str | None = None


class _Tokens(msgspec.Struct):
    tokens: list[int]


class _Templated(msgspec.Struct):
    prompt: str


class _GenerationSettings(msgspec.Struct):
    n_ctx: msgspec.Raw


class _Modalities(msgspec.Struct):
    vision: bool = False
    audio: bool = False

    @property
    def inputs(self) -> frozenset[str]:
        found = {"image": self.vision, "audio": self.audio}
        return frozenset(name for name, takes in found.items() if takes)


class _Props(msgspec.Struct):
    total_slots: msgspec.Raw
    default_generation_settings: _GenerationSettings
    chat_template: str = ""
    modalities: _Modalities = msgspec.field(default_factory=_Modalities)


class _Excess(msgspec.Struct):
    n_prompt_tokens: int
    n_ctx: int


class _TooLong(msgspec.Struct):
    error: _Excess


_chunks = msgspec.json.Decoder(_Chunk)


def _decode_chunk(event: bytes) -> _Chunk:
    try:
        return _chunks.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BackendGone(f"llama.cpp sent an event that cannot be read: {event[:100]!r}") from None
