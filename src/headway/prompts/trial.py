"""Runs the cases of prompts against a model, through a gateway or any OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from headway.prompts.cases import Case
from headway.prompts.errors import PromptError
from headway.prompts.expectations import Python
from headway.prompts.prompt import Prompt, PromptId
from headway.unreachable import why_unreachable

AT_ONCE = 8
"""Requests in flight."""
TIMEOUT_S = 600.0
"""For one answer, the time in the gateway's queue included."""

Ask = Callable[[PromptId, dict[str, Any]], Awaitable[bytes]]
"""Sends the body of a chat completion, and returns that of its answer. Raises PromptError if it is
refused."""


class Unreached(PromptError):
    """There is no server."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One case of one version of a prompt."""

    prompt: Prompt
    case: Case
    python: Mapping[str, Python]
    """Functions that the case may name."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a trial was answered."""

    trial: Trial
    answer: str
    output_tokens: int | None
    took_s: float
    refused: str = ""
    """Why there is no answer; empty: there is one."""
    reached: bool = True
    """Whether there was a server."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a trial."""

    answered: Answered
    failures: tuple[str, ...]
    """Why it failed; empty: it passed."""


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str = ""


class _Call(msgspec.Struct):
    function: _Function


class _Message(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct):
    completion_tokens: int | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


_COMPLETION = msgspec.json.Decoder(_Completion)


async def answers(
    trials: Sequence[Trial], ask: Ask, *, model: str | None = None
) -> AsyncGenerator[tuple[int, Answered], None]:
    """Run trials, some at once; what is still under way ends with this iterator.

    Args:
        trials: what to run.
        ask: sends a request.
        model: to ask instead of the prompts' own.

    Yields:
        The place of a trial among them, and its answer, as they come.
    """
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(place: int, trial: Trial) -> tuple[int, Answered]:
        async with limit:
            return place, await _answered(trial, ask, model)

    tasks = [asyncio.create_task(one(place, trial)) for place, trial in enumerate(trials)]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()


async def run(
    trials: Sequence[Trial], url: str, *, model: str | None = None, api_key: str = ""
) -> list[Result]:
    """Run trials on a server. Prompts are filled in here: the server need not have them.

    Args:
        trials: what to run.
        url: base URL of the server, with or without `/v1`.
        model: to ask instead of the prompts' own.
        api_key: sent along; empty: none.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    address = f"{url.rstrip('/').removesuffix('/v1')}/v1/chat/completions"
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:

        async def ask(id: PromptId, request: dict[str, Any]) -> bytes:
            try:
                async with session.post(address, json=request) as response:
                    body = await response.read()
            except (aiohttp.ClientError, OSError) as error:
                raise Unreached(f"no answer from {address}: {why_unreachable(error)}") from None
            if response.status != 200:
                raise PromptError(f"the server answered {response.status}: {_message(body)}")
            return body

        found = [one async for one in answers(trials, ask, model=model)]
    return [_checked(answered) for _, answered in sorted(found, key=lambda one: one[0])]


async def _answered(trial: Trial, ask: Ask, model: str | None) -> Answered:
    began_s = time.monotonic()
    answer, tokens, refused, reached = "", None, "", True
    try:
        request = trial.prompt.render(trial.case.variables).request
        request["model"] = model or request.get("model", "default")
        answer, tokens = _text_of(await ask(trial.prompt.id, request))
    except PromptError as error:
        refused, reached = str(error), not isinstance(error, Unreached)
    took_s = time.monotonic() - began_s
    return Answered(trial, answer, tokens, took_s, refused, reached)


def _checked(answered: Answered) -> Result:
    if answered.refused:
        return Result(answered, (answered.refused,))
    case, tokens = answered.trial.case, answered.output_tokens
    python = answered.trial.python
    return Result(
        answered, tuple(case.expect.failures(answered.answer, tokens, case.variables, python))
    )


def _text_of(body: bytes) -> tuple[str, int | None]:
    """The text of an answer and its tokens. A call of a tool is a text in JSON."""
    try:
        found = _COMPLETION.decode(body)
        message = found.choices[0].message
    except (msgspec.DecodeError, IndexError):
        raise PromptError("the server's answer is not a chat completion") from None
    text = message.content or ""
    if not text and message.tool_calls:
        function = message.tool_calls[0].function
        arguments = function.arguments or "{}"
        text = f'{{"name": {json.dumps(function.name)}, "arguments": {arguments}}}'
    return text, found.usage.completion_tokens if found.usage else None


def _message(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["error"]["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
