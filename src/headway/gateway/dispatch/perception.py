"""Asks a model, in a separate request, how long its answer to a request will be."""

from __future__ import annotations

import asyncio

import msgspec

from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.engines.engine import BackendGone
from headway.gateway.api.errors import ApiError
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.dispatch.slot import Slot
from headway.gateway.foresight.foresight import OnReading
from headway.gateway.work.predicted import Predicted
from headway.gateway.work.work import BYTES_PER_TOKEN, Work
from headway.prediction.live.history import Origin
from headway.prediction.live.live_predictor import Reading
from headway.prediction.live.perception import (
    GUESS_TOKENS,
    QUESTION,
    calibration_of_guesses,
    score_of,
    words_guessed,
)

PATH = "chat/completions"


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Reply(msgspec.Struct):
    choices: list[_Choice]

    @property
    def text(self) -> str:
        return (self.choices[0].message.content or "") if self.choices else ""


_reply = msgspec.json.Decoder(_Reply)


class Perception:
    """Asks questions, which wait for a slot under the same policy as other requests.

    The answer to a question has only a few tokens, so policies that order by length run it first.
    A question that fails costs only the guess.

    Args:
        dispatcher: runs the questions.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.answered = 0
        """Number of questions that were answered with a number."""
        self.unanswered = 0
        """Number of questions that were not."""
        self._dispatcher = dispatcher
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, work: Work, on_guess: OnReading) -> None:
        """Ask about `work`, whose prompt was read; `on_guess` gets the guess, if there is one.

        Skips prompts without text.
        """
        if work.predicted.prompt is None or not work.predicted.prompt.text:
            return
        task = asyncio.create_task(self._ask(work, work.predicted.prompt.text, on_guess))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel all questions."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, work: Work, text: str, on_guess: OnReading) -> None:
        words = None
        try:
            with Slot(self._dispatcher, _about(work, text)) as slot:
                words = words_guessed(await self._reply(slot, text))
                # Before the slot is freed, as the guess may change which request is next.
                if words is not None:
                    if work.served.ended_s < 0.0:
                        on_guess(work, Reading(score_of(words), calibration_of_guesses()))
                    slot.finish()
        except (ApiError, BackendGone, msgspec.DecodeError, UnicodeDecodeError):
            pass
        if words is None:
            self.unanswered += 1
        else:
            self.answered += 1

    async def _reply(self, slot: Slot, text: str) -> str:
        question = slot.work
        engine = await slot.engine()
        description = self._dispatcher.pool.statuses[question.served.backend].description
        model = question.origin.model
        own_name = model if description is None else description.own_name(model)
        response = await slot.read(engine.forward(PATH, _body(own_name, text)))
        try:
            body = await slot.read(response.read())
        finally:
            response.close()
        return _reply.decode(body).text


def _body(model: str, text: str) -> bytes:
    asked = text.encode(errors="replace").decode()
    return msgspec.json.encode(
        {
            "model": model,
            "messages": [{"role": "user", "content": QUESTION.format(asked)}],
            "max_tokens": GUESS_TOKENS,
            "temperature": 0,
        }
    )


def _about(work: Work, text: str) -> Work:
    """The question about `work`, whose prompt is `text`, as a request of its own."""
    about = work.request
    body = _body(work.origin.model, text)
    request = Request(
        id=f"{about.id}-length",
        arrival_s=about.arrival_s,
        prompt_tokens=max(1, len(body) // BYTES_PER_TOKEN),
        estimate=SizeEstimate.exactly(GUESS_TOKENS),
        lane=work.origin.model,
        tier=about.tier,
        tenant=about.tenant,
        program=about.program,
        priority=about.priority,
        max_tokens=GUESS_TOKENS,
        preemptible=False,
    )
    return Work(
        request=request,
        kind="chat",
        path=PATH,
        origin=Origin(work.origin.model, work.origin.tenant),
        body=body,
        fields={},
        predicted=Predicted(claim_counts=True),
        obstacle="asks the model how long another answer will be",
    )
