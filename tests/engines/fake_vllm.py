"""A server that speaks as much of vLLM's API as VllmEngine uses: one token is one letter."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

ANSWER = "The sea is wide é and deep."


class FakeVllm:
    """Its answer to any prompt is ANSWER, from wherever the prompt's end is in it."""

    def __init__(self, *, returns_ids: bool = True, priority: bool = True) -> None:
        self.returns_ids = returns_ids
        self.priority = priority
        self.reasons = False
        self.break_after: int | None = None
        """Tokens after which it drops the connection."""
        self.asked: list[dict[str, Any]] = []
        self.application = web.Application()
        self.application.router.add_get("/v1/models", self._models)
        self.application.router.add_get("/health", self._health)
        self.application.router.add_get("/version", self._version)
        self.application.router.add_post("/tokenize", self._tokenize)
        self.application.router.add_post("/v1/completions", self._complete)
        self.application.router.add_post("/v1/chat/completions", self._chat)

    async def _models(self, _: web.Request) -> web.Response:
        model = {"id": "org/model", "owned_by": "vllm", "max_model_len": 300}
        return web.json_response({"object": "list", "data": [model]})

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "0.11.0"})

    async def _tokenize(self, request: web.Request) -> web.Response:
        asked = await request.json()
        text = asked.get("prompt")
        if text is None:
            text = "".join(f"<{m['role']}>{m['content']}" for m in asked["messages"])
        tokens = list(text.encode())
        if "prompt" in asked and asked.get("add_special_tokens", True):
            tokens.insert(0, 1)
        return web.json_response({"count": len(tokens), "max_model_len": 300, "tokens": tokens})

    async def _chat(self, _: web.Request) -> web.Response:
        message = {"content": "Hello"}
        if self.reasons:
            message = {"content": None, "reasoning_content": "Well"}  # type: ignore[dict-item]
        return web.json_response({"choices": [{"message": message}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.asked.append(asked)
        if "priority" in asked and not self.priority:
            error = {"message": "priority scheduling is off", "type": "BadRequestError"}
            return web.json_response({"error": error}, status=400)
        prompt: list[int] = asked["prompt"]
        whole = list(ANSWER.encode())
        done = next(n for n in range(len(whole), -1, -1) if prompt[len(prompt) - n :] == whole[:n])
        tokens = whole[done:][: asked["max_tokens"]]
        if not asked.get("stream"):
            choice: dict[str, Any] = {"text": bytes(tokens).decode(errors="replace")}
            if self.returns_ids:
                choice |= {"token_ids": tokens, "prompt_token_ids": prompt}
            return web.json_response({"choices": [choice]})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        waiting = b""
        for number, token in enumerate(tokens):
            if number == self.break_after:
                assert request.transport is not None
                request.transport.abort()
                return response
            waiting += bytes([token])
            text = waiting.decode(errors="ignore")
            if text:
                waiting = b""
            choice = {"text": text, "token_ids": [token], "finish_reason": None}
            if number == len(tokens) - 1:
                ended = done + len(tokens) == len(whole)
                choice["finish_reason"] = "stop" if ended else "length"
            if number == 0:
                choice["prompt_token_ids"] = prompt
            await response.write(b"data: " + msgspec.json.encode({"choices": [choice]}) + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response
