"""VllmEngine, against a server that speaks vLLM's documented API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec
import pytest
from tests.engines.conftest import Serve
from tests.engines.fake_vllm import ANSWER, FakeVllm
from tests.engines.generations import chat, endpoint, generation

from headway.engines.engine import BackendGone, EngineError, Generation, Piece
from headway.engines.vllm import VllmEngine


class Pair:
    """The engine's client and the server behind it."""

    def __init__(self, url: str, fake: FakeVllm) -> None:
        self.engine = VllmEngine(endpoint(url))
        self.fake = fake


@pytest.fixture
async def pair(serve: Serve) -> AsyncIterator[Pair]:
    fake = FakeVllm()
    pair = Pair(await serve(fake.application), fake)
    await pair.engine.describe()
    fake.asked.clear()
    yield pair
    await pair.engine.close()


async def run(engine: VllmEngine, request: Generation, pieces: int | None = None) -> str:
    text = ""
    async with aclosing(engine.generate(request)) as deltas:  # type: ignore[type-var]
        async for delta in deltas:
            text += delta.text
            if len(request.pieces) == pieces:
                break
    return text


async def test_its_abilities_are_tried(serve: Serve) -> None:
    fake = FakeVllm()
    engine = VllmEngine(endpoint(await serve(fake.application)))
    description = await engine.describe()
    assert description.models == ("org/model",) and description.context_tokens == 300
    assert description.exact_resume and description.vocabulary
    assert description.priority and not description.embeddings and not description.parses_chat
    tried = len(fake.asked)
    await engine.describe()
    assert len(fake.asked) == tried, "abilities are tried once"
    await engine.check()
    await engine.close()


async def test_without_ids_in_its_answers_it_can_only_forward(serve: Serve) -> None:
    engine = VllmEngine(endpoint(await serve(FakeVllm(returns_ids=False).application)))
    assert not (await engine.describe()).exact_resume
    await engine.close()


async def test_without_priorities_it_continues_all_the_same(serve: Serve) -> None:
    fake = FakeVllm(priority=False)
    engine = VllmEngine(endpoint(await serve(fake.application)))
    description = await engine.describe()
    assert description.exact_resume and not description.priority
    request = chat("Hi", max_tokens=50, priority=3)
    assert await run(engine, request) == ANSWER
    assert "priority" not in fake.asked[-1]
    await engine.close()


async def test_a_server_that_splits_off_reasoning_says_so(serve: Serve) -> None:
    fake = FakeVllm()
    fake.reasons = True
    engine = VllmEngine(endpoint(await serve(fake.application)))
    assert (await engine.describe()).parses_chat
    await engine.close()


@pytest.mark.parametrize("point", range(1, 26, 3))
async def test_stopped_anywhere_it_goes_on_from_its_ids(pair: Pair, point: int) -> None:
    request = chat("Hi", max_tokens=100, top_k=5)
    text = await run(pair.engine, request, pieces=point)
    text += await run(pair.engine, request)
    assert text == ANSWER
    assert request.output_tokens == len(ANSWER.encode())
    first, second = pair.fake.asked
    assert second["prompt"][: len(first["prompt"])] == first["prompt"]
    assert second["max_tokens"] == 100 - (len(second["prompt"]) - len(first["prompt"]))
    assert second["return_token_ids"] is True and second["stream"] is True
    assert second["top_k"] == 5 and "messages" not in second


async def test_the_client_s_priority_goes_along(pair: Pair) -> None:
    await run(pair.engine, chat("Hi", max_tokens=3, priority=-2))
    assert pair.fake.asked[-1]["priority"] == -2
    for fields in ({}, {"priority": None}):
        await run(pair.engine, chat("Hi", max_tokens=3, **fields))
        assert "priority" not in pair.fake.asked[-1]


async def test_limits_that_the_client_left_out_are_those_of_vllm(pair: Pair) -> None:
    text = chat("Hi")
    await run(pair.engine, text)
    assert pair.fake.asked[-1]["max_tokens"] == 300 - len(text.prompt_ids or [])
    await run(pair.engine, generation("completion", prompt="Hi"))
    assert pair.fake.asked[-1]["max_tokens"] == 16
    assert pair.fake.asked[-1]["prompt"] == [1, *b"Hi"]
    await run(pair.engine, generation("completion", prompt="Hi", min_tokens=5), pieces=3)


async def test_it_is_asked_by_its_own_name_of_the_model(serve: Serve) -> None:
    fake = FakeVllm()
    engine = VllmEngine(endpoint(await serve(fake.application), models={"alias": "org/model"}))
    assert (await engine.describe()).models == ("alias",)
    request = chat("Hi", max_tokens=3)
    request.model = "alias"
    await run(engine, request)
    assert fake.asked[-1]["model"] == "org/model"
    await engine.close()


async def test_minus_one_is_no_limit(pair: Pair) -> None:
    for fields in ({"max_tokens": -1}, {"max_completion_tokens": -1, "max_tokens": None}):
        unlimited = generation("completion", prompt="Hi", **fields)
        await run(pair.engine, unlimited)
        assert pair.fake.asked[-1]["max_tokens"] == 300 - len(unlimited.prompt_ids or [])
    with pytest.raises(EngineError, match="max_tokens must be"):
        await run(pair.engine, generation("completion", prompt="Hi", max_tokens=-2))


async def test_min_tokens_counts_what_came_before_the_stop(pair: Pair) -> None:
    request = generation("completion", prompt="Hi", min_tokens=5, max_tokens=9)
    await run(pair.engine, request, pieces=3)
    await run(pair.engine, request)
    assert pair.fake.asked[-1]["min_tokens"] == 2


async def test_min_tokens_that_are_no_number_are_refused(pair: Pair) -> None:
    with pytest.raises(EngineError, match="min_tokens") as refused:
        await run(pair.engine, chat("Hi", min_tokens="five"))
    assert refused.value.status == 400


async def test_a_completion_may_go_without_special_tokens(pair: Pair) -> None:
    await run(pair.engine, generation("completion", prompt="Hi", add_special_tokens=False))
    assert pair.fake.asked[-1]["prompt"] == [*b"Hi"]


async def test_ids_that_llama_cpp_left_out_are_found(pair: Pair) -> None:
    request = chat("Hi", max_tokens=100)
    request.accept(Piece("The sea is wide ", list(b"The sea is wide "), 16))
    request.accept(Piece("é", [0xA9], 2))
    assert await run(pair.engine, request) == " and deep."


async def test_a_stream_that_breaks_is_gone_and_continues(pair: Pair) -> None:
    pair.fake.break_after = 7
    request = chat("Hi", max_tokens=100)
    with pytest.raises(BackendGone):
        await run(pair.engine, request)
    pair.fake.break_after = None
    so_far = "".join(piece.text for piece in request.pieces)
    assert so_far + await run(pair.engine, request) == ANSWER


async def test_a_prompt_beyond_the_context_is_refused(pair: Pair) -> None:
    with pytest.raises(EngineError) as refused:
        await run(pair.engine, chat("long " * 100))
    assert refused.value.status == 400
    assert msgspec.json.decode(refused.value.body)["error"]["code"] == "context_length_exceeded"
