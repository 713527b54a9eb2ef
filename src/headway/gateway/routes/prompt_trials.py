"""Runs the test cases of a prompt on some of its versions: as requests of whoever asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from headway.gateway.answers.answers import Answers
from headway.gateway.answers.reply import Reply
from headway.gateway.api.errors import ApiError
from headway.gateway.api.prompts import TrialProgress, TrialResult, TrialsAsked
from headway.gateway.foresight.background import CommandFailed, answer_of
from headway.gateway.http.body import Bodies, off_loop, parsed
from headway.gateway.intake.entrance import Admitted, Entrance
from headway.gateway.intake.given import read
from headway.gateway.intake.intake import Intake
from headway.gateway.intake.prompts import Prompts, no_prompts, refused
from headway.gateway.keys.keys import Caller
from headway.gateway.routes.console import STREAM
from headway.gateway.routes.token_counts import CHAT
from headway.prompts import checking
from headway.prompts.cases import FILE, parse_cases
from headway.prompts.errors import PromptError
from headway.prompts.prompt import PromptId
from headway.prompts.prompt_files import PromptFiles
from headway.prompts.registry import Registry
from headway.prompts.trial import Answered, Trial, answers

CHECKS_S = 60.0
"""How long it may take to compare all answers with what is expected."""

_ASKED = msgspec.json.Decoder(TrialsAsked)


class PromptTrials:
    """Handler of the trials.

    Args:
        entrance: lets operators in: trials cost what their requests cost.
        bodies: reads the bodies.
        prompts: the registered prompts.
        intake: makes works of requests.
        generated: answers them.
    """

    def __init__(
        self,
        entrance: Entrance,
        bodies: Bodies,
        prompts: Prompts,
        intake: Intake,
        generated: Answers,
    ) -> None:
        self._entrance = entrance
        self._bodies = bodies
        self._prompts = prompts
        self._intake = intake
        self._generated = generated

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {"run_trials": self.run}

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Run them, and stream how far they are; the last event has the results."""
        caller = self._entrance.operator(request)
        asked: TrialsAsked = parsed(await self._bodies.read(request), _ASKED)
        registry = self._prompts.registry
        if registry is None:
            raise no_prompts()
        name = request.match_info["prompt"]
        try:
            trials = await asyncio.to_thread(_trials, registry, name, asked.versions)
        except PromptError as error:
            raise refused(error) from None
        response = web.StreamResponse(headers=STREAM)
        await response.prepare(request)
        found: dict[int, Answered] = {}
        await _send(response, TrialProgress(answered=0, of=len(trials)))
        running = answers(trials, partial(self._ask, caller), model=asked.model)
        async with aclosing(running):
            async for place, answered in running:
                found[place] = answered
                await _send(response, TrialProgress(answered=len(found), of=len(trials)))
        try:
            results = await _checked(registry.folder / name, [found[i] for i in sorted(found)])
        except ApiError as error:
            await response.write(b"data: %b\n\n" % error.body())
            return response
        await _send(response, TrialProgress(answered=len(found), of=len(trials), results=results))
        return response

    async def _ask(self, caller: Caller | None, id: PromptId, body: dict[str, Any]) -> bytes:
        """Answer one request, scheduled as any other. Raises PromptError if it is refused."""
        admitted = Admitted(caller, msgspec.json.encode(body), prompt=id)
        try:
            given = await off_loop(partial(read, CHAT), admitted.body)
            work = self._intake.work(CHAT, {}, admitted, given)
            response = await self._generated.answer(work, Reply(None))
        except ApiError as error:
            raise PromptError(error.message) from None
        assert isinstance(response, web.Response) and isinstance(response.body, bytes)
        return response.body


async def _send(response: web.StreamResponse, progress: TrialProgress) -> None:
    await response.write(b"data: %b\n\n" % msgspec.json.encode(progress))


def _trials(registry: Registry, name: str, versions: Sequence[str | int]) -> list[Trial]:
    """Case by case, each under all versions. Raises PromptError."""
    prompts = [registry.prompt(name, version) for version in versions]
    text = PromptFiles(registry.folder, name).cases()
    if text is None:
        raise PromptError(f"the prompt {name!r} has no test cases; write some, then run them")
    by_id = {prompt.id: prompt for prompt in prompts}
    return [
        Trial(prompt, case, {}) for case in parse_cases(text, FILE) for prompt in by_id.values()
    ]


async def _checked(folder: Path, found: Sequence[Answered]) -> list[TrialResult]:
    """Compare answers with what their cases expect. Raises ApiError."""
    to_check = [
        checking.ToCheck(one.trial.case, one.answer, one.output_tokens)
        for one in found
        if not one.refused
    ]
    asked = msgspec.json.encode(checking.Answers(str(folder), to_check))
    try:
        failures = await answer_of(["check-answers"], list[list[str]], CHECKS_S, asked)
    except TimeoutError:
        raise _unchecked(f"that took longer than {CHECKS_S:.0f} s") from None
    except CommandFailed as failure:
        raise _unchecked(str(failure).removeprefix("headway check-answers: ")) from None
    left = iter(failures)
    return [
        TrialResult(
            version=one.trial.prompt.id.version,
            case=one.trial.case.name,
            answer=one.answer,
            output_tokens=one.output_tokens,
            took_s=round(one.took_s, 3),
            failures=[one.refused] if one.refused else next(left),
        )
        for one in found
    ]


def _unchecked(why: str) -> ApiError:
    return ApiError(
        400,
        f"The answers cannot be compared with what the cases expect: {why.rstrip('.')}.",
        code="cases_failed",
    )
