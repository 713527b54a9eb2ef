"""Requests and answers of backends that are almost valid, for half an hour.

    python bench/fuzz.py [--minutes 30] [--json results/fuzz.json]

A gateway with sixteen fake backends and tiny models of its own gets, in turn: what schemathesis
makes of the whole OpenAPI document, valid and not; bodies that were valid before one to four
changes (`tests/gateway/fuzzing.py`); and good requests that backends answer with broken streams and
broken JSON. Every answer must be an answer of the API, never a 500. Memory is that of the gateway
process; its growth is counted after the first third.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.result import Ok

from claims import Claim, publish
from headway.gateway.routes.openapi import document
from headway.lab.loadtest.server import HeadwayServer
from kill import resident_pages

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the tests are no package that is installed

from tests.gateway import fuzzing  # noqa: E402
from tests.gateway.fake_backend import FakeBackend  # noqa: E402
from tests.models.graphs import doubled, embedder  # noqa: E402

BACKENDS = 16
"""In turn, so that each may recover from what it answered."""
EXAMPLES = 100
"""Of one kind before the next kind has its turn."""
LIMIT_S = 30.0
PAGES_PER_MB = 256
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
PROMPTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hello!"}]},
    "/v1/completions": {"prompt": "Once"},
    "/v1/embeddings": {"input": "a"},
}


class Findings:
    """What came of every example, and a few of those that went wrong."""

    def __init__(self) -> None:
        self.examples: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.samples: list[dict[str, str]] = []

    def fault(self, kind: str, example: object) -> None:
        """An example that went wrong."""
        self.faults[kind] += 1
        if self.faults[kind] <= 5:
            self.samples.append({"kind": kind, "example": repr(example)[:5000]})


def documented() -> Iterator[st.SearchStrategy[Any]]:
    """Requests to each operation that the document has, as it says they are, and others."""
    for operation in schemathesis.openapi.from_dict(document()).get_all_operations():
        assert isinstance(operation, Ok), operation
        for mode in schemathesis.GenerationMode:
            yield operation.ok().as_strategy(generation_mode=mode)


class Fuzzer:
    """Sends examples to the gateway at `address`."""

    def __init__(self, address: str, backends: list[FakeBackend], findings: Findings) -> None:
        self._address = address
        self._backends = backends
        self._findings = findings
        self._cases = st.one_of(list(documented()))

    def run(self, end_s: float) -> None:
        """One kind after the other until the time is over."""
        kinds: list[tuple[st.SearchStrategy[Any], Callable[[Any], None]]] = [
            (self._cases, self._documented),
            (fuzzing.requests(), self._request),
            (fuzzing.backend_answers(), self._backend_answer),
        ]
        while time.monotonic() < end_s:
            for strategy, send in kinds:
                self._some(strategy, send, end_s)

    def _some(
        self, strategy: st.SearchStrategy[Any], send: Callable[[Any], None], end_s: float
    ) -> None:
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(example=strategy)
        def each(example: Any) -> None:
            if time.monotonic() < end_s:
                self._findings.examples[send.__name__.lstrip("_")] += 1
                try:
                    send(example)
                except requests.RequestException as error:
                    self._findings.fault(f"no answer: {type(error).__name__}", example)

        each()

    def _documented(self, case: schemathesis.Case[Any]) -> None:
        answer = case.call(base_url=self._address, timeout=LIMIT_S)
        self._count(answer.status_code, answer.text, case)
        try:
            case.validate_response(answer, checks=CHECKS)
        except Exception as error:  # whatever it is, it is counted and the next one comes
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            self._findings.fault(f"not as documented: {first[:100]}", f"{case!r}: {error}")

    def _request(self, asked: tuple[str, bytes]) -> None:
        path, body = asked
        headers = {"Content-Type": "application/json"}
        url = self._address + path
        answer = requests.post(url, data=body, headers=headers, timeout=LIMIT_S)
        self._count(answer.status_code, answer.text, asked)

    def _backend_answer(self, scripted: tuple[str, bool, list[bytes]]) -> None:
        path, streamed, script = scripted
        backend = self._backends[0]
        self._backends.append(self._backends.pop(0))
        backend.script = script
        body = {"model": backend.model, "stream": streamed, **PROMPTS[path]}
        answer = requests.post(self._address + path, json=body, timeout=LIMIT_S)
        if backend.script is None:
            self._findings.examples["backend_answer that was taken"] += 1
        backend.script = None
        # A backend's own 500 is passed on, and is none of ours.
        own = "internal_error" in answer.text or b" 500 X" not in script[0]
        self._count(answer.status_code if own else 502, answer.text, scripted)
        stream = "event-stream" in answer.headers.get("Content-Type", "")
        if stream and not answer.text.rstrip().endswith("data: [DONE]"):
            self._findings.fault("a stream without an end", (scripted, answer.text[-300:]))

    def _count(self, status: int, text: str, example: object) -> None:
        self._findings.statuses[str(status)] += 1
        if status == 500 and '"model_failed"' not in text:  # that is a fault of the model
            self._findings.fault("500", (example, text[:300]))
        elif not (status == 200 or 400 <= status < 600):
            self._findings.fault(f"status {status}", example)


async def fuzz(options: argparse.Namespace, folder: Path) -> tuple[Findings, dict[str, Any]]:
    """The findings, and what became of the gateway."""
    embedder(folder / "text")
    doubled(folder / "doubled.onnx")
    backends = [FakeBackend(f"fake{number or ''}", record=False) for number in range(BACKENDS)]
    for backend in backends:
        await backend.start()
    paths = {"text": str(folder / "text"), "doubled": str(folder / "doubled.onnx")}
    paths |= {name: f"{ROOT}/tests/models/functions.py:{name}" for name in ("mood", "later")}
    server_settings = {
        "backends": [{"url": backend.url, "name": backend.model} for backend in backends],
        "models": [{"name": name, "path": path, "threads": 1} for name, path in paths.items()],
        # Each fake model would have a learned predictor of some megabytes once it has answered
        # often enough: that is memory well spent, and no leak.
        "prediction": {"learn": False},
        "limits": {"unavailable_wait_s": 0.05, "read_timeout_s": 5},
        "log": {"level": "error", "requests_db": str(folder / "requests.db")},
    }
    findings, samples = Findings(), []
    async with HeadwayServer(server_settings) as server:
        pid, begin_s = server.pid, time.monotonic()
        fuzzer = Fuzzer(server.url.removesuffix("/v1"), list(backends), findings)
        end_s = begin_s + options.minutes * 60
        running = asyncio.create_task(asyncio.to_thread(fuzzer.run, end_s))
        while not running.done():
            samples.append((time.monotonic() - begin_s, resident_pages(pid) / PAGES_PER_MB))
            await asyncio.wait((running,), timeout=2.0)
        await running
        alive = resident_pages(pid) > 0
        log = server.log
    for backend in backends:
        await backend.stop()
    return findings, {"memory": samples, "alive": alive, "log": log.splitlines()[-100:]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--json", type=Path, default=Path("results/fuzz.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        findings, ended = asyncio.run(fuzz(options, Path(folder)))
    for title, counts in (
        ("examples", findings.examples),
        ("statuses", findings.statuses),
        ("faults", findings.faults),
    ):
        print(f"{title}: {dict(counts.most_common())}")
    memory = [mb for _, mb in ended["memory"]]
    early = memory[: len(memory) // 3 + 1]
    faults = sum(findings.faults.values()) - findings.faults["500"]
    tracebacks = sum(line.startswith("Traceback") for line in ended["log"])
    claims = [
        Claim("crashes", 0 if ended["alive"] else 1, 0),
        Claim("answers of 500", findings.faults["500"], 0),
        Claim("other answers that are none of the API's", faults, 0),
        Claim("tracebacks at the end of the log", tracebacks, 0),
        Claim("growth of memory after the first third, MB", memory[-1] - max(early), 16),
    ]
    details = {
        "examples": findings.examples,
        "statuses": findings.statuses,
        "faults": findings.faults,
        "samples": findings.samples,
        **ended,
    }
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
