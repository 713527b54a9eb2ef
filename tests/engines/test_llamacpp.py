"""LlamaCppEngine on the real engine with one slot."""

from __future__ import annotations

import random
import time
from contextlib import aclosing

import msgspec
import pytest
from tests.engines.generations import chat, generation, ids_of

from headway.engines.engine import BackendGone, Delta, EngineError, Generation
from headway.engines.llamacpp import LlamaCppEngine, _Modalities

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def run(engine: LlamaCppEngine, request: Generation, pieces: int | None = None) -> str:
    """Text of `request` until its end, or until it has so many pieces; then it is closed."""
    text = ""
    async with aclosing(engine.generate(request)) as deltas:
        async for delta in deltas:
            text += delta.text
            if pieces is not None and len(request.pieces) >= pieces:
                break
    return text


async def last(engine: LlamaCppEngine, request: Generation) -> Delta:
    deltas = [delta async for delta in engine.generate(request)]
    return deltas[-1]


async def test_it_tells_what_it_is(llama: LlamaCppEngine) -> None:
    description = await llama.describe()
    assert description.models == ("smollm2-135m-instruct",)
    assert (description.slots, description.context_tokens) == (1, 512)
    assert description.exact_resume and description.engine == "llama.cpp"
    assert not description.embeddings and not description.parses_chat
    assert not description.tools, "its template has no place for them"
    assert description.takes("smollm2-135m-instruct") == frozenset()
    assert "modalities" in await llama._http.ask("/props", dict), "it says what it takes"
    assert len(description.vocabulary) == 16
    assert 0 < description.cost.decode_s_per_token < 2
    assert 0 < description.cost.prefill_s_per_token < 1


@pytest.mark.parametrize(
    ("said", "takes"),
    [
        ("{}", set()),
        ('{"vision": true}', {"image"}),
        ('{"audio": true, "vision": false}', {"audio"}),
    ],
)
async def test_its_properties_say_what_its_model_takes(said: str, takes: set[str]) -> None:
    assert msgspec.json.decode(said, type=_Modalities).inputs == takes


async def test_20_stops_at_random_points_change_no_token(llama: LlamaCppEngine) -> None:
    whole = chat("Write a short poem on rain.", max_tokens=50)
    text = await run(llama, whole)
    stopped = chat("Write a short poem on rain.", max_tokens=50)
    collected = ""
    for point in sorted(random.Random(7).sample(range(1, 48), 20)):
        collected += await run(llama, stopped, pieces=point)
        await run(llama, chat(f"{point}?", max_tokens=2))
    collected += await run(llama, stopped)
    assert collected == text
    assert await settled(llama, stopped) == await settled(llama, whole)
    assert stopped.output_tokens == whole.output_tokens


async def settled(engine: LlamaCppEngine, done: Generation) -> list[int]:
    """All ids of `done`, those that the stream left out included."""
    for piece in done.pieces:
        if piece.tokens > len(piece.ids) and piece.text:
            piece.ids = await engine._plain_ids(piece.text)
    return ids_of(done)


@pytest.mark.parametrize(
    "prompt",
    [
        "Repeat: 😀🦄日本語ありがとう😃 😀🦄日本語ありがとう😃 😀🦄",
        "こんにちは、世界。ありがとうございます。こんにちは、",
    ],
)
async def test_characters_of_several_tokens_survive_a_stop_after_each(
    llama: LlamaCppEngine, prompt: str
) -> None:
    fields = {"prompt": prompt, "max_tokens": 24, "temperature": 0}
    whole = generation("completion", **fields)
    text = await run(llama, whole)
    assert any(piece.tokens > len(piece.ids) for piece in whole.pieces), "nothing was left out"
    stopped = generation("completion", **fields)
    collected = ""
    for point in range(1, len(whole.pieces), 2):
        collected += await run(llama, stopped, pieces=point)
        await run(llama, chat("And now?", max_tokens=1))
    collected += await run(llama, stopped)
    assert collected == text
    assert await settled(llama, stopped) == await settled(llama, whole)


async def test_ids_that_cannot_be_found_are_generated_again_and_not_sent_twice(
    llama: LlamaCppEngine,
) -> None:
    whole = chat("Count slowly from one to ten.", max_tokens=30)
    text = await run(llama, whole)
    stopped = chat("Count slowly from one to ten.", max_tokens=30)
    collected = await run(llama, stopped, pieces=12)
    stopped.pieces[5].ids = [0]  # as if the engine had split this text in another way
    stopped.pieces[5].tokens = 3
    collected += await run(llama, stopped)
    assert collected == text
    assert ids_of(stopped) == ids_of(whole)


async def test_text_that_may_become_a_stop_string_is_not_lost(llama: LlamaCppEngine) -> None:
    plain = chat("Count from one to ten.", max_tokens=30)
    text = await run(llama, plain)
    # Holds back text at every first character of it, and never comes true.
    held = [text[12:18] + "\x00", text[20:23] + "\x00"]
    stopped = chat("Count from one to ten.", max_tokens=30, stop=held)
    collected = ""
    for point in range(1, 25, 3):
        collected += await run(llama, stopped, pieces=point)
    collected += await run(llama, stopped)
    assert collected == text


async def test_a_stop_string_ends_the_answer_also_when_it_spans_a_stop(
    llama: LlamaCppEngine,
) -> None:
    text = await run(llama, chat("Count from one to ten.", max_tokens=30))
    stop = text[14:26]
    stopped = chat("Count from one to ten.", max_tokens=30, stop=stop)
    collected = ""
    reason = None
    while reason is None:
        async with aclosing(llama.generate(stopped)) as deltas:  # type: ignore[type-var]
            delta = await anext(deltas)
        collected += delta.text
        reason = delta.finish_reason
    assert reason == "stop"
    assert collected == text[: text.index(stop)]


async def test_chat_is_what_the_engine_itself_makes_of_it(llama: LlamaCppEngine) -> None:
    request = chat("Name three colours.", max_tokens=20)
    text = await run(llama, request)
    asked = {"messages": request.body["messages"], "max_tokens": 20, "temperature": 0}
    response = await llama.forward("chat/completions", msgspec.json.encode(asked))
    own = msgspec.json.decode(await response.read())
    assert text == own["choices"][0]["message"]["content"]
    assert len(request.prompt_ids or []) == own["usage"]["prompt_tokens"]  # no second BOS
    assert request.output_tokens == own["usage"]["completion_tokens"]


async def test_completion_prompts_are_text_ids_or_a_list_of_one(llama: LlamaCppEngine) -> None:
    as_text = generation("completion", prompt="The sea is", max_tokens=5, temperature=0)
    text = await run(llama, as_text)
    for prompt in (["The sea is"], as_text.prompt_ids, [as_text.prompt_ids]):
        same = generation("completion", prompt=prompt, max_tokens=5, temperature=0)
        assert await run(llama, same) == text


async def test_the_last_delta_tells_why_it_ended_and_what_it_took(llama: LlamaCppEngine) -> None:
    request = chat("Tell me a story.", max_tokens=5)
    delta = await last(llama, request)
    assert delta.finish_reason == "length"
    assert delta.prompt_tokens == len(request.prompt_ids or [])
    assert delta.cached_tokens is not None
    assert request.output_tokens == 5
    ended = chat("Say hi.", max_tokens=100, logit_bias={"2": 100})  # its end token
    assert (await last(llama, ended)).finish_reason == "stop"


async def test_nothing_is_asked_for_beyond_max_tokens(llama: LlamaCppEngine) -> None:
    request = chat("Tell me a story.", max_completion_tokens=0)
    assert await last(llama, request) == Delta(
        finish_reason="length", prompt_tokens=len(request.prompt_ids or [])
    )
    stopped = chat("Tell me a story.", max_tokens=6)
    await run(llama, stopped, pieces=6)
    assert (await last(llama, stopped)).finish_reason == "length"
    assert stopped.output_tokens == 6


async def test_an_answer_ends_where_the_context_does(llama: LlamaCppEngine) -> None:
    request = generation("completion", prompt=[504] * 504, temperature=0, ignore_eos=True)
    await run(llama, request, pieces=3)
    assert (await last(llama, request)).finish_reason == "length"
    assert 504 + request.output_tokens == 512
    assert (await last(llama, request)).finish_reason == "length"


@pytest.mark.parametrize(
    ("request_", "param", "code"),
    [
        (generation("completion", prompt=[504] * 512), "prompt", "context_length_exceeded"),
        (chat("long " * 600), "messages", "context_length_exceeded"),
        (chat("x", max_tokens=-2), "max_tokens", None),
        (chat("x", max_tokens="many"), "max_tokens", None),
        (chat("x", stop=[1]), "stop", None),
        (generation("completion", prompt=["a", "b"]), "prompt", None),
        (generation("completion"), "prompt", None),
    ],
)
async def test_a_request_it_cannot_take_is_refused_in_the_shape_of_openai(
    llama: LlamaCppEngine, request_: Generation, param: str, code: str | None
) -> None:
    with pytest.raises(EngineError) as refused:
        await run(llama, request_)
    assert refused.value.status == 400
    error = msgspec.json.decode(refused.value.body)["error"]
    assert error["message"] and error["type"] == "invalid_request_error"
    assert (error["param"], error["code"]) == (param, code)


async def test_the_engine_has_a_context_that_was_not_described(llama: LlamaCppEngine) -> None:
    llama._context_tokens = None
    with pytest.raises(EngineError) as refused:
        await run(llama, generation("completion", prompt=[504] * 700))
    assert msgspec.json.decode(refused.value.body)["error"]["code"] == "context_length_exceeded"


async def test_its_own_refusals_come_through(llama: LlamaCppEngine) -> None:
    with pytest.raises(EngineError, match="temperature") as refused:
        await run(llama, chat("x", temperature="hot"))
    assert refused.value.status == 400
    with pytest.raises(EngineError, match="messages"):
        await run(llama, generation("chat", messages="x"))


async def test_closing_frees_the_slot_at_once(llama: LlamaCppEngine) -> None:
    await run(llama, chat("Tell me a very long story.", max_tokens=400), pieces=3)
    start_s = time.monotonic()
    await run(llama, chat("Hi", max_tokens=1))
    assert time.monotonic() - start_s < 2.0  # 400 tokens take 4 s on a fast machine


async def test_a_server_that_is_not_there_is_gone() -> None:
    from headway.engines.endpoint import Endpoint

    engine = LlamaCppEngine(Endpoint("nobody", "http://127.0.0.1:9"))
    with pytest.raises(BackendGone, match="nobody"):
        await engine.check()
    with pytest.raises(BackendGone):
        await run(engine, chat("x"))
    await engine.close()


LONG = "Rain falls on the roof and on the road. " * 12 + "What does it do?"


async def in_pieces(engine: LlamaCppEngine, request: Generation, tokens: int = 24) -> int:
    """Compute its prompt in pieces; returns how many."""
    count = 0
    while await engine.prefill(request, tokens):
        count += 1
    return count


async def test_a_prompt_in_pieces_is_computed_once_and_is_no_cached_one(
    llama: LlamaCppEngine,
) -> None:
    request = chat("In pieces. " + LONG, max_tokens=4)
    assert await in_pieces(llama, request) > 3
    ended = await last(llama, request)
    assert ended.prompt_tokens is not None and ended.cached_tokens is not None
    computed = request.prefilled_tokens + ended.cached_tokens
    assert ended.prompt_tokens - 24 <= computed <= ended.prompt_tokens
    again = await last(llama, chat("In pieces. " + LONG, max_tokens=1))
    assert again.cached_tokens == ended.prompt_tokens - 1


async def test_pieces_begin_where_an_earlier_prompt_was_the_same(llama: LlamaCppEngine) -> None:
    await run(llama, chat("Shared. " + LONG, max_tokens=1))
    request = chat("Shared. " + LONG + " And then?", max_tokens=1)
    assert await in_pieces(llama, request) == 0
    ended = await last(llama, request)
    assert ended.cached_tokens is not None and ended.cached_tokens > 100


async def test_a_short_prompt_and_one_to_be_computed_at_once_come_whole(
    llama: LlamaCppEngine,
) -> None:
    assert await in_pieces(llama, chat("Hi", max_tokens=1), tokens=64) == 0
    whole = chat("At once. " + LONG, max_tokens=1, cache_prompt=False)
    assert await in_pieces(llama, whole) == 0
