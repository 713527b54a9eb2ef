"""EmbeddedServer: a child process that comes back."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import groupby
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from tests.engines.generations import chat, eventually, ids_of

from headway.engines.embedded import EmbeddedServer, model_name
from headway.engines.engine import BackendGone
from headway.engines.model_file import GgufError, default_model
from headway.engines.pool import BackendPool, BackendStatus
from headway.extras import install_extra


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct"),
        ("Qwen3-0.6B-Q8_0.gguf", "qwen3-0.6b"),
        ("llama-70b-IQ2_XXS-00001-of-00003.gguf", "llama-70b"),
        ("tiny.gguf", "tiny"),
        ("q4_0.gguf", "q4_0"),
    ],
)
def test_a_model_is_called_by_its_file_without_quantisation(file: str, name: str) -> None:
    assert model_name(Path("/models") / file) == name


class Watched:
    """A pool with one embedded engine, and every status it reported."""

    def __init__(self) -> None:
        self.server = EmbeddedServer(default_model(), slots=1, context_tokens=1024)
        self.reported: list[BackendStatus] = []
        self.pool = BackendPool([], embedded=[self.server])

    @property
    def status(self) -> BackendStatus:
        return self.pool.statuses["embedded"]


@pytest_asyncio.fixture
async def watched() -> AsyncIterator[Watched]:
    watched = Watched()
    await watched.pool.start(watched.reported.append)
    yield watched
    await watched.pool.close()


async def test_killed_in_the_middle_it_comes_back_and_the_answer_goes_on(
    watched: Watched,
) -> None:
    pool = watched.pool
    whole = chat("Tell me of the mountains.", max_tokens=40)
    text = "".join([d.text async for d in pool.engine("embedded").generate(whole)])

    broken = chat("Tell me of the mountains.", max_tokens=40)
    collected = ""
    with pytest.raises(BackendGone):
        async with aclosing(pool.engine("embedded").generate(broken)) as deltas:  # type: ignore[type-var]
            async for delta in deltas:
                collected += delta.text
                if len(broken.pieces) == 15 and watched.server.pid is not None:
                    os.kill(watched.server.pid, signal.SIGKILL)
    pool.failed("embedded", "r1", BackendGone("seen by the dispatcher"))
    await eventually(lambda: not watched.status.healthy)
    assert watched.status.slots == 0 and watched.status.description is not None
    with pytest.raises(BackendGone, match="embedded is down"):
        pool.engine("embedded")
    assert pool.models() == ["smollm2-135m-instruct"]
    took_s = await eventually(lambda: watched.status.healthy, within_s=30)
    assert took_s < 5.0
    assert watched.server.restarts == 1
    async for delta in pool.engine("embedded").generate(broken):
        collected += delta.text
    assert broken.output_tokens == whole.output_tokens
    # Its prefix cache died with it, so the last bits of a long prefill may differ.
    assert collected[: len(text) // 3] == text[: len(text) // 3]
    assert ids_of(broken)[:15] == ids_of(whole)[:15]
    changes = [healthy for healthy, _ in groupby(status.healthy for status in watched.reported)]
    assert changes == [True, False, True]


async def test_it_outlives_an_interrupt_that_is_meant_for_its_parent(watched: Watched) -> None:
    assert watched.server.pid is not None
    os.kill(watched.server.pid, signal.SIGINT)
    request = chat("Hi", max_tokens=3)
    async for _ in watched.pool.engine("embedded").generate(request):
        pass
    assert request.output_tokens == 3 and watched.server.restarts == 0


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_nobody_but_its_parent_may_use_it(watched: Watched, key: str | None) -> None:
    endpoint = watched.server.endpoint
    assert endpoint is not None and endpoint.api_key and watched.server.pid is not None
    assert endpoint.api_key not in Path(f"/proc/{watched.server.pid}/cmdline").read_text()
    headers = {"Origin": "http://page.example"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    async with aiohttp.ClientSession(endpoint.url, headers=headers) as session:
        for path in ("/v1/models", "/props", "/slots", "/metrics"):
            answer = await session.get(path)
            assert answer.status == 401, path
        for path in ("/completion", "/v1/chat/completions", "/tokenize", "/slots/0?action=erase"):
            answer = await session.post(path, json={"prompt": "Hi", "content": "Hi"})
            assert answer.status == 401, path
        # A page that a browser shows may send what needs no permission, and read nothing.
        for answer in (await session.get("/health"), await session.options("/completion")):
            assert answer.headers.get("Access-Control-Allow-Origin", "") == ""
            assert "true" not in answer.headers.get("Access-Control-Allow-Credentials", "")


async def test_each_start_has_a_key_of_its_own(watched: Watched) -> None:
    assert watched.server.pid is not None and watched.server.endpoint is not None
    before = watched.server.endpoint.api_key
    os.kill(watched.server.pid, signal.SIGKILL)
    await eventually(lambda: watched.server.restarts == 1 and watched.status.healthy, within_s=30)
    assert watched.server.endpoint is not None
    assert watched.server.endpoint.api_key not in (None, before)


async def test_stopped_it_leaves_no_process(watched: Watched) -> None:
    pid = watched.server.pid
    assert pid is not None
    await watched.pool.close()
    assert not alive(pid)


def test_it_dies_with_its_parent() -> None:
    parent = """
import asyncio, os
from headway.engines.embedded import EmbeddedServer
from headway.engines.model_file import default_model

async def main():
    server = EmbeddedServer(default_model(), slots=1, context_tokens=512)
    await server.start()
    print(server.pid, flush=True)
    os._exit(1)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", parent], stdout=subprocess.PIPE, timeout=60)
    asyncio.run(eventually(lambda: not alive(int(done.stdout))))


async def test_a_corrupt_model_is_told_with_the_words_of_the_engine(tmp_path: Path) -> None:
    half = tmp_path / "half.gguf"
    with default_model().open("rb") as whole:
        half.write_bytes(whole.read(3_000_000))
    changes: list[BackendStatus] = []
    pool = BackendPool([], embedded=[EmbeddedServer(half)])
    with pytest.raises(GgufError, match=r"half\.gguf cannot be loaded.*check.*failed to load"):
        await pool.start(changes.append)
    assert not changes


@pytest.mark.parametrize(
    ("fails_with", "advice"),
    [
        ("libgomp.so.1: cannot open shared object file", "apt install libgomp1"),
        ("No module named 'xllamacpp'", re.escape(install_extra("serve"))),
    ],
)
async def test_an_engine_that_does_not_load_is_not_blamed_on_the_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails_with: str, advice: str
) -> None:
    (tmp_path / "xllamacpp.py").write_text(f"raise ImportError({fails_with!r})")
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    monkeypatch.setenv("PYTHONPATH", path)
    pool = BackendPool([], embedded=[EmbeddedServer(default_model())])
    with pytest.raises(GgufError, match=f"engine does not load .*{advice}"):
        await pool.start(lambda _: None)


async def test_a_file_that_is_no_model_is_told_before_anything_starts(tmp_path: Path) -> None:
    text = tmp_path / "text.gguf"
    text.write_text("not a model")
    with pytest.raises(GgufError, match="not a GGUF file"):
        await EmbeddedServer(text).start()
    with pytest.raises(GgufError, match="cannot be read"):
        await EmbeddedServer(tmp_path / "nothing.gguf").start()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
