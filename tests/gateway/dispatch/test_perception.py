"""Questions to a model about the length of its answers: short requests like any other."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.gateway.conftest import ask, until
from tests.gateway.doubles import EnginePool, ExactEngine, Reader

from headway.core.settings import SchedulerSettings
from headway.engines.engine import BackendGone
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings


class Reply:
    """What an engine answers to what is forwarded to it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self) -> bytes:
        return self._body

    def close(self) -> None:
        pass


class Guessing(ExactEngine):
    """Says of every prompt how long its answer will be."""

    def __init__(self, reply: bytes | None = None, guesses: dict[str, str] | None = None) -> None:
        super().__init__()
        self.questions: list[str] = []
        self.reply = reply
        self.guesses = guesses or {}

    async def forward(self, path: str, body: bytes, headers: object = None) -> Reply:
        question = msgspec.json.decode(body)["messages"][0]["content"]
        prompt = question.rpartition("Request: ")[2]
        self.questions.append(prompt)
        if self.reply is None and prompt not in self.guesses:
            raise BackendGone("it has no idea")
        message = {"content": self.guesses.get(prompt)}
        return Reply(self.reply or msgspec.json.encode({"choices": [{"message": message}]}))


async def gateway_on(stack, engine: Guessing, policy: str = "sjf") -> Gateway:
    scheduler = SchedulerSettings(policy=policy)
    settings = GatewaySettings(port=0, scheduler=scheduler, ask_lengths=True)
    gateway = Gateway(settings, pool=EnginePool(engine), predictor=Reader())  # type: ignore
    await gateway.start()
    stack.push_async_callback(gateway.stop)
    return gateway


async def test_who_waits_is_ranked_by_what_the_model_says(stack) -> None:
    # The predictor says the opposite: it goes by the number in the prompt.
    engine = Guessing(guesses={"9": "Words: 2", "6": "900"})
    gateway = await gateway_on(stack, engine)
    first = ask(gateway, "3")
    await until(lambda: engine.running == 1)
    asked = [ask(gateway, text, max_tokens=2000) for text in ("9", "6")]
    works = gateway.dispatcher.works
    await until(lambda: len(works) == 5)
    engine.allow(3)
    await first
    await until(lambda: gateway.perception.answered == 2)
    assert sorted(engine.questions) == ["6", "9"]
    of_text = {bytes(w.fields["prompt"]): w.request for w in works.values() if w.fields}
    assert of_text[b'"9"'].estimate.mean < of_text[b'"6"'].estimate.mean
    engine.allow()
    await asyncio.gather(*asked)
    assert not works


@pytest.mark.parametrize(
    "reply",
    [
        b'{"choices": [{"message": {"content": "I cannot say"}}]}',
        b'{"choices": []}',
        b'{"error": {"message": "no"}}',
        b"\xff not JSON",
        None,
    ],
)
async def test_without_a_number_the_predictors_word_stands(stack, reply: bytes | None) -> None:
    engine = Guessing(reply)
    gateway = await gateway_on(stack, engine)
    first = ask(gateway, "3")
    await until(lambda: engine.running == 1)
    second = ask(gateway, "9", max_tokens=64)
    await until(lambda: len(gateway.dispatcher.works) == 3)
    before = next(
        w for w in gateway.dispatcher.works.values() if w.fields and not w.request.backend
    )
    forecast = before.predicted.forecast
    engine.allow()
    await asyncio.gather(first, second)
    perception = gateway.perception
    assert (perception.answered, perception.unanswered) == (0, 1)
    assert before.predicted.forecast is forecast is not None
    assert not gateway.dispatcher.works


@pytest.mark.parametrize("policy", ["fcfs", "priority"])
async def test_nobody_is_asked_where_lengths_do_not_count(stack, policy: str) -> None:
    engine = Guessing(guesses={"9": "5"})
    gateway = await gateway_on(stack, engine, policy)
    first = ask(gateway, "3")
    await until(lambda: engine.running == 1)
    second = ask(gateway, "9")
    await until(lambda: gateway._foresight.predicted == 2)
    engine.allow()
    await asyncio.gather(first, second)
    assert not engine.questions


async def test_a_gateway_that_stops_does_not_wait_for_replies(stack) -> None:
    engine = Guessing(guesses={"9": "5"})
    gateway = await gateway_on(stack, engine)
    first, second = ask(gateway, "3"), ask(gateway, "9")
    await until(lambda: len(gateway.dispatcher.works) == 3)
    await gateway.stop()
    assert not engine.questions
    await asyncio.gather(first, second, return_exceptions=True)
