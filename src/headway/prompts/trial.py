"""Runs the cases of prompts against a model, through a gateway or any OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class Trial:
    """One case of one version of a prompt."""

    prompt: Prompt
    case: Case
    python: Mapping[str, Python]
    """Functions that the case may name."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a trial."""

    prompt: PromptId
    case: str
    failures: tuple[str, ...]
    """Why it failed; empty: it passed."""
    answer: str
    output_tokens: int | None
    took_s: float


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


async def run(
    trials: Sequence[Trial], url: str, *, model: str | None = None, api_key: str = ""
) -> list[Result]:
    """Run trials, some at once. Prompts are filled in here: the server need not have them.

    Args:
        trials: what to run.
        url: base URL of the server, with or without `/v1`.
        model: to ask instead of the prompts' own.
        api_key: sent along; empty: none.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    address = f"{url.rstrip('/').removesuffix('/v1')}/v1/chat/completions"
    limit = asyncio.Semaphore(AT_ONCE)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:

        async def one(trial: Trial) -> Result:
            async with limit:
                return await _result(session, address, trial, model)

        return await asyncio.gather(*map(one, trials))


async def _result(
    session: aiohttp.ClientSession, url: str, trial: Trial, model: str | None
) -> Result:
    began_s = time.monotonic()
    answer, tokens = "", None
    try:
        request = trial.prompt.render(trial.case.variables).request
        request["model"] = model or request.get("model", "default")
        answer, tokens = await _answer(session, url, request)
        failures = trial.case.expect.failures(answer, tokens, trial.case.variables, trial.python)
    except PromptError as error:
        failures = [str(error)]
    except (aiohttp.ClientError, OSError) as error:
        failures = [f"no answer from {url}: {why_unreachable(error)}"]
    took_s = time.monotonic() - began_s
    return Result(trial.prompt.id, trial.case.name, tuple(failures), answer, tokens, took_s)


async def _answer(
    session: aiohttp.ClientSession, url: str, request: dict[str, Any]
) -> tuple[str, int | None]:
    """The text of an answer and its tokens. A call of a tool is a text in JSON."""
    async with session.post(url, json=request) as response:
        body = await response.read()
        if response.status != 200:
            raise PromptError(f"the server answered {response.status}: {_message(body)}")
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
