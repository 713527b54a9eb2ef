"""What is printed at the start: the command to try fits the model that is served."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.models import graphs
from tests.models.encoder.folders import TABLE, folder
from tests.models.functions_source import function

from headway.cli.banner import print_banner
from headway.cli.models import catalog_of
from headway.config.models import ModelConfig
from headway.config.settings import Settings


async def tried(model: ModelConfig, capsys: pytest.CaptureFixture[str]) -> tuple[str, object]:
    """The path and the body of the command in the banner of a gateway that serves `model`."""
    settings = Settings(models=(model,))
    catalog = catalog_of(settings)
    await catalog.start()
    try:
        print_banner(settings, catalog, "http://127.0.0.1:8080", [])
    finally:
        await catalog.close()
    _, _, command = capsys.readouterr().out.partition("Try")
    words = shlex.split(command[command.index("curl") :].replace("\\\n", ""))
    path = re.sub("^http://127.0.0.1:8080", "", words[1])
    return path, json.loads(words[words.index("-d") + 1]) if "-d" in words else None


def chat(capsys: pytest.CaptureFixture[str]) -> str:
    settings = Settings()
    backends = ["  model   default on the embedded engine"]
    print_banner(settings, catalog_of(settings), "http://127.0.0.1:8080", backends)
    return capsys.readouterr().out


def test_a_chat_model_is_asked_something(capsys: pytest.CaptureFixture[str]) -> None:
    out = chat(capsys)
    assert "curl http://127.0.0.1:8080/v1/chat/completions" in out and "Hello!" in out


def embedder(place: Path) -> Path:
    return folder(place)


def classifier(place: Path) -> Path:
    labels = {str(n): name for n, name in enumerate("abcd")}
    return folder(place, {"config.json": {"id2label": labels}}, output="logits", summed=True)


def reranker(place: Path) -> Path:
    pair = {"config.json": {"id2label": {"0": "fits"}}}
    return folder(place, pair, output="logits", summed=True, table=TABLE[:, :1])


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (embedder, "/v1/embeddings"),
        (classifier, "/v1/classify"),
        (reranker, "/v1/rerank"),
    ],
)
async def test_an_encoder_is_asked_at_the_endpoint_of_its_task(
    make: Callable[[Path], Path], path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make(tmp_path / "folder")
    asked, body = await tried(ModelConfig(name="m", path=str(made)), capsys)
    assert asked == path
    assert isinstance(body, dict) and body["model"] == "m"


async def test_a_graph_gets_tensors_of_its_shapes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = graphs.doubled(tmp_path / "double.onnx")
    path, body = await tried(ModelConfig(name="double", path=str(graph)), capsys)
    assert path == "/v2/models/double/infer"
    assert body == {
        "inputs": [
            {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 1]},
            {"name": "z", "shape": [1], "datatype": "INT64", "data": [1]},
        ]
    }


async def test_a_function_gets_an_item_and_the_hint_that_it_says_what_items_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = ModelConfig(name="f", path=function("upper").location)
    assert await tried(model, capsys) == ("/v1/models/f:predict", {"instances": ["Hello!"]})


async def test_a_model_that_is_not_loaded_is_only_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = graphs.doubled(tmp_path / "double.onnx")
    model = ModelConfig(name="double", path=str(graph), preload=False)
    assert await tried(model, capsys) == ("/v2/models/double", None)
