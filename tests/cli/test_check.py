"""`headway check`: what works and what does not, before anything depends on it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.test_command_line import headway, one_line_failure
from tests.gateway.fake_backend import FakeBackend

from headway.cli.findings import can_do
from headway.engines.engine import Description
from headway.gateway.keys.keys import hash_key

CLOSED = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a backend in a loop that runs while the command does."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    backend = FakeBackend()
    asyncio.run_coroutine_threadsafe(backend.start(), loop).result(10)
    yield backend.url
    asyncio.run_coroutine_threadsafe(backend.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def write(**lines: str) -> None:
    text = "".join(f"{name}: {value}\n" for name, value in lines.items())
    Path("headway.yaml").write_text(f"models: []\nlog: {{requests_db: requests.db}}\n{text}")


def test_all_that_works_is_listed(url: str) -> None:
    key = f"[{{name: ada, admin: true, sha256: {hash_key('x')}}}]"
    write(backends=f"[{{url: '{url}'}}]", keys=key)
    done = headway("check")
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["settings"] == "headway.yaml"
    assert lines["keys"] == "1, 1 of them of an admin"
    assert lines["log"] == "requests.db"
    assert "serves fake" in lines["backend"]
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["headway.yaml"]


def test_a_backend_that_does_not_answer_is_named_with_why(url: str) -> None:
    write(backends=f"[{{url: '{url}'}}, {{url: '{CLOSED}', name: gpu}}]")
    done = headway("check")
    assert done.returncode == 1
    assert f"backend   does not work: gpu at {CLOSED}: cannot connect" in done.stdout
    assert "serves fake" in done.stdout
    assert done.stderr == "headway: 1 of 5 do not work; see the lines above\n"


@pytest.mark.parametrize(
    ("lines", "finding"),
    [
        ({"model": "lost.gguf"}, "embedded  does not work: there is no file lost.gguf"),
        ({"tls_cert": "lost.pem"}, "tls       does not work: lost.pem cannot be read"),
        ({"models": "[{name: m, path: lost.onnx}]"}, "models    does not work: "),
        (
            {"prediction": "{predictor: lost.npz}"},
            "predict   does not work: there is no predictor file lost.npz",
        ),
        ({"auto": "{slo: fast}"}, "auto.slo  does not work: "),
    ],
)
def test_files_that_are_not_there(lines: dict[str, str], finding: str) -> None:
    text = "".join(f"{name}: {value}\n" for name, value in lines.items())
    Path("headway.yaml").write_text(f"log: {{requests_db: null}}\n{text}")
    done = headway("check")
    assert done.returncode == 1
    assert finding in done.stdout


def test_a_database_of_batches_is_tried(postgres: str) -> None:
    write(backends="[]", batch=f"{{database: '{postgres}'}}")
    assert "batches  " in headway("check").stdout
    write(backends="[]", batch="{database: 'postgresql://ann:secret@127.0.0.1:1/x'}")
    done = headway("check")
    assert done.returncode == 1
    assert "the database of batch.database cannot be used" in done.stdout
    assert "secret" not in done.stdout


def test_wrong_settings_are_one_line_and_exit_code_2() -> None:
    write(polcy="fcfs")
    assert "did you mean policy?" in one_line_failure(headway("check"), 2)
    write(host="0.0.0.0")
    assert "there are no API keys" in one_line_failure(headway("check"), 2)


def test_what_a_backend_can_do_is_a_sentence() -> None:
    full = Description(
        engine="vllm",
        models=("a", "b"),
        slots=64,
        context_tokens=8192,
        embeddings=True,
        exact_resume=True,
    )
    assert can_do(full) == (
        "vllm; serves a, b; 64 requests at once; a context of 8192 tokens; embeddings; "
        "is preempted without losing a token"
    )
    assert can_do(Description(models=("a",), slots=None)) == (
        "an OpenAI-compatible server; serves a; does not say how many requests at once; "
        "is not preempted: it takes no token ids"
    )


def test_prices_of_what_is_not_there_and_budgets_without_prices(url: str) -> None:
    write(backends=f"[{{url: '{url}', name: gpu}}]", prices="{backends: {gpx: {hour: 1}}}")
    done = headway("check")
    assert done.returncode == 1
    assert "prices.backends: 'gpx' is none of embedded, gpu" in done.stdout
    write(backends=f"[{{url: '{url}'}}]", tenant_budgets="{acme: {money_per_day: 5}}")
    assert "budgets of money and no prices" in headway("check").stdout
