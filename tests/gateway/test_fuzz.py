"""Whatever clients and backends send, it is answered, never with a 500, and nothing stays behind.

`bench/fuzz.py` does the same for longer.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from tests.gateway import fuzzing
from tests.gateway.conftest import HELLO, catalog_of
from tests.gateway.fake_backend import WORDS, FakeBackend

from headway.engines.endpoint import Endpoint
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings
from headway.models.source import source_of

BACKENDS = 8
"""In turn, so that each may recover from what it answered."""


class Fuzzed:
    """A gateway in a thread of its own, with a backend for each of `fake`, `fake1`, `fake2`…"""

    def __init__(self, tiny: Path) -> None:
        self._tiny = tiny
        self.backends = [
            FakeBackend(f"fake{number or ''}", record=False) for number in range(BACKENDS)
        ]
        self.address = ""
        self.ready, self.stopped = threading.Event(), threading.Event()

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        for backend in self.backends:
            await backend.start()
        endpoints = [Endpoint(backend.model, backend.url) for backend in self.backends]
        sources = {name: source_of(str(self._tiny / name)) for name in ("text", "doubled.onnx")}
        self.gateway = Gateway(
            GatewaySettings(port=0, unavailable_wait_s=0.05, read_timeout_s=2.0),
            endpoints,
            catalog=catalog_of("mood", "later", **sources),
        )
        await self.gateway.start()
        self.address = self.gateway.address
        self.ready.set()
        await asyncio.to_thread(self.stopped.wait)
        await self.gateway.stop()
        for backend in self.backends:
            await backend.stop()


@pytest.fixture(scope="module")
def fuzzed(tiny: Path) -> Iterator[Fuzzed]:
    fuzzed = Fuzzed(tiny)
    thread = threading.Thread(target=fuzzed.run)
    thread.start()
    assert fuzzed.ready.wait(20)
    yield fuzzed
    assert not fuzzed.gateway.dispatcher.works
    fuzzed.stopped.set()
    thread.join()


brief = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@brief
@given(asked=fuzzing.requests())
def test_requests_that_are_almost_valid(fuzzed: Fuzzed, asked: tuple[str, bytes]) -> None:
    path, body = asked
    headers = {"Content-Type": "application/json"}
    answer = requests.post(fuzzed.address + path, data=body, headers=headers, timeout=30)
    assert answer.status_code < 500 or answer.json()["error"]["code"] in {
        "deadline_exceeded",
        "no_backend",
    }
    if answer.status_code >= 400:
        assert answer.json()["error"]


@settings(brief, max_examples=40)  # each that fails is tried again after a pause
@given(scripted=fuzzing.backend_answers())
def test_answers_of_backends_that_are_almost_valid(
    fuzzed: Fuzzed, scripted: tuple[str, bool, list[bytes]]
) -> None:
    path, streamed, script = scripted
    backend = fuzzed.backends[0]
    fuzzed.backends.append(fuzzed.backends.pop(0))
    backend.script = script
    field = {"/v1/completions": {"prompt": "a"}, "/v1/embeddings": {"input": "a"}}
    body = {"model": backend.model, "stream": streamed} | field.get(path, {"messages": HELLO})
    answer = requests.post(fuzzed.address + path, json=body, timeout=30)
    backend.script = None
    shown = f"{answer.status_code} {answer.text[-300:]!r} for {script!r}"[:2000]
    assert answer.status_code == 200 or answer.status_code >= 400, shown
    if answer.status_code != 200:
        assert answer.headers["Content-Type"] == "application/json", shown
        assert answer.json()["error"]["code"] != "internal_error", shown
    elif streamed and "event-stream" in answer.headers["Content-Type"]:
        assert answer.text.rstrip().endswith("data: [DONE]"), shown


@brief
@given(script=fuzzing.restyled())
def test_streams_that_are_valid_in_another_style(fuzzed: Fuzzed, script: list[bytes]) -> None:
    backend = fuzzed.backends[0]
    fuzzed.backends.append(fuzzed.backends.pop(0))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    backend.script = [head, *script]
    body = {"model": backend.model, "stream": True, "messages": HELLO}
    answer = requests.post(fuzzed.address + fuzzing.CHAT, json=body, timeout=30)
    backend.script = None
    assert answer.status_code == 200, answer.text
    lines = re.split("\r\n|\r|\n", answer.content.decode("utf-8-sig"))
    data = [line[5:].strip() for line in lines if line.startswith("data:")]
    assert data.pop() == "[DONE]" and "[DONE]" not in data
    chunks = [json.loads(each) for each in data]
    assert not [chunk for chunk in chunks if "error" in chunk]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "".join(WORDS)
