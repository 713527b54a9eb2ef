import asyncio
import socket
from dataclasses import replace

import pytest

from headway.lab.loadtest.client import LoadClient, ServerError
from headway.lab.loadtest.workload import LoadRequest, Workload


def asking(text: str, at_s: float = 0.0, max_tokens: int = 5) -> LoadRequest:
    return LoadRequest(at_s, ({"role": "user", "content": text},), max_tokens)


async def test_an_answer_is_measured(fake_server) -> None:
    fake_server.token_s = 0.01
    fake_server.scheduling = {"queue_ms": 250.0, "preemptions": 2}
    async with LoadClient(fake_server.url, "fake") as client:
        outcome = await client.send(asking("Say five words"))
    assert outcome.ok
    assert outcome.text == "word " * 5
    assert (outcome.prompt_tokens, outcome.output_tokens) == (3, 5)
    assert (outcome.queue_s, outcome.preemptions) == (0.25, 2)
    assert outcome.finish_reason == "length"
    assert outcome.ttft_s is not None
    assert 0.01 <= outcome.ttft_s < outcome.latency_s
    assert outcome.token_s == sorted(outcome.token_s)
    assert len(outcome.token_s) == 5


async def test_the_request_is_greedy_streamed_and_says_what_is_known(fake_server) -> None:
    request = LoadRequest(
        0.0, ({"role": "user", "content": "Hi"},), 3, "batch", "alice", 42, ignore_eos=True
    )
    async with LoadClient(fake_server.url, "fake", api_key="secret") as client:
        await client.send(request)
    [body], [headers] = fake_server.bodies, fake_server.headers
    assert body["temperature"] == 0
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert body["ignore_eos"] is True
    assert body["model"] == "fake"
    assert headers["x-headway-tier"] == "batch"
    assert headers["x-headway-tenant"] == "alice"
    assert headers["x-headway-expected-tokens"] == "42"
    assert headers["authorization"] == "Bearer secret"


async def test_nothing_is_said_that_is_not_known(fake_server) -> None:
    async with LoadClient(fake_server.url, "fake") as client:
        await client.send(asking("Hi"))
    assert not [name for name in fake_server.headers[0] if name.startswith("x-headway")]
    assert "ignore_eos" not in fake_server.bodies[0]


@pytest.mark.parametrize("field", ["content", "reasoning_content", "reasoning"])
async def test_reasoning_is_text_under_any_of_its_names(fake_server, field: str) -> None:
    fake_server.text = field
    async with LoadClient(fake_server.url, "fake") as client:
        outcome = await client.send(asking("Hi"))
    assert outcome.text == "word " * 5
    assert len(outcome.token_s) == 5


async def test_what_a_server_counts_is_read(fake_server) -> None:
    fake_server.usage = {
        "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": None},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    async with LoadClient(fake_server.url, "fake") as client:
        plain = await client.send(asking("Hi"))
        counted = await client.send(replace(asking("Hi"), count_pieces=True))
    assert (plain.cached_tokens, plain.reasoning_tokens) == (2, 4)
    assert plain.counted == [0] * 5
    assert counted.counted == [1, 3, 5, 7, 9]
    assert counted.status == 200


async def test_no_more_requests_are_sent_at_once_than_asked_for(fake_server) -> None:
    fake_server.token_s = 0.01
    load = Workload(tuple(asking("Hi", max_tokens=2) for _ in range(4)))
    async with LoadClient(fake_server.url, "fake") as client:
        outcomes = await client.run(load, at_once=1)
    assert all(outcome.ok for outcome in outcomes)
    begun = [outcome.sent_s for outcome in outcomes]
    ended = [outcome.latency_s for outcome in outcomes]
    assert all(next_s >= end_s - 0.001 for end_s, next_s in zip(ended, begun[1:], strict=False))


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        ("refuse", "500: no room"),
        ("complain", "in the stream: engine on fire"),
        ("cut", "connection failed"),
        ("mumble", "not an OpenAI stream"),
        ("hang", "no complete answer within 0.3 s"),
    ],
)
async def test_a_failure_is_recorded_and_never_hangs(fake_server, trouble: str, error: str) -> None:
    # A shared machine may be slow: only what hangs has a limit that matters.
    timeout_s = 0.3 if trouble == "hang" else 10.0
    async with LoadClient(fake_server.url, "fake", timeout_s=timeout_s) as client:
        outcome = await client.send(asking(f"Please {trouble}"))
    assert not outcome.ok
    assert error in outcome.error
    assert outcome.text == ("word word " if trouble in {"complain", "cut"} else "")


async def test_requests_are_sent_at_their_times_whatever_became_of_the_others(fake_server) -> None:
    load = Workload((asking("Please hang"), asking("Hi", 0.1), asking("Hello", 0.2)))
    done = []
    async with LoadClient(fake_server.url, "fake", timeout_s=0.5) as client:
        outcomes = await client.run(load, done.append)
    assert [outcome.ok for outcome in outcomes] == [False, True, True]
    assert [outcome.request for outcome in outcomes] == list(load.requests)
    assert outcomes[2].sent_s >= 0.2
    assert outcomes[2].latency_s < 0.2
    assert len(done) == 3


async def test_a_burst_is_under_way_at_once(fake_server) -> None:
    fake_server.token_s = 0.05
    load = Workload(tuple(asking(f"Question {n}", max_tokens=4) for n in range(40)))
    async with LoadClient(fake_server.url, "fake") as client:
        start_s = asyncio.get_running_loop().time()
        outcomes = await client.run(load)
        took_s = asyncio.get_running_loop().time() - start_s
    assert all(outcome.ok for outcome in outcomes)
    assert took_s < 40 * 0.2 / 3


async def test_the_models_are_listed(fake_server) -> None:
    async with LoadClient(fake_server.url, "fake") as client:
        assert await client.models() == ["fake"]


async def test_an_unreachable_server_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        async with LoadClient(url, "fake") as client:
            with pytest.raises(ServerError, match=f"no server at {url}"):
                await client.models()
            assert "connection failed" in (await client.send(asking("Hi"))).error


async def test_a_wrong_path_is_named(fake_server) -> None:
    async with LoadClient(fake_server.url + "/nothing", "fake") as client:
        with pytest.raises(ServerError, match="answered 404"):
            await client.models()
