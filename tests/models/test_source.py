"""What the PATH of `NAME=PATH` refers to."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.models.signature import ModelFailure
from headway.models.source import BUILT_IN, ModelSource, source_of


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_urls_and_the_built_in_model_are_known_by_their_names() -> None:
    assert source_of(BUILT_IN) == ModelSource("built-in", BUILT_IN)
    assert source_of("http://host:8000/") == ModelSource("server", "http://host:8000")


@pytest.mark.parametrize("graph", ["model.onnx", "onnx/model.onnx"])
def test_a_folder_with_a_graph_reads_texts_if_it_has_a_tokenizer(
    tmp_path: Path, graph: str
) -> None:
    files(tmp_path, graph)
    assert source_of(str(tmp_path)) == ModelSource("onnx", str(tmp_path / graph))
    files(tmp_path, "tokenizer.json")
    assert source_of(str(tmp_path)) == ModelSource("text", str(tmp_path))


def test_a_graph_is_the_one_that_was_named(tmp_path: Path) -> None:
    small = files(tmp_path, "model.onnx", "small.onnx") / "small.onnx"
    assert source_of(str(small)) == ModelSource("onnx", str(small))
    files(tmp_path, "tokenizer.json")
    assert source_of(str(small)) == ModelSource("text", str(small))


def test_a_folder_with_weights_needs_a_tokenizer(tmp_path: Path) -> None:
    files(tmp_path, "model.safetensors")
    with pytest.raises(ModelFailure, match=r"there is no .*tokenizer\.json"):
        source_of(str(tmp_path))
    files(tmp_path, "tokenizer.json")
    assert source_of(str(tmp_path)).kind == "text"


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.ts", "m.pt2"])
def test_files_of_torch_are_known_by_their_endings(tmp_path: Path, name: str) -> None:
    assert source_of(str(files(tmp_path, name) / name)).kind == "torch"


def test_python_objects_are_named_in_files_and_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files(tmp_path, "mine.py"))
    assert source_of("mine.py:run") == ModelSource("python", f"{tmp_path}/mine.py:run")
    assert source_of("package.module:run") == ModelSource("python", "package.module:run")


@pytest.mark.parametrize(
    "path", ["nowhere", "nowhere.onnx", "nowhere.pt", "nowhere.py:run", "nowhere.py"]
)
def test_a_path_that_does_not_exist_is_named(path: str) -> None:
    with pytest.raises(
        ModelFailure, match=r"there is no file nowhere|nowhere.* is not there: name"
    ):
        source_of(path)


def test_a_path_that_cannot_be_served_is_refused_with_what_can(tmp_path: Path) -> None:
    with pytest.raises(ModelFailure, match=r"is no model .* FILE\.py:FUNCTION"):
        source_of(str(files(tmp_path, "notes.txt") / "notes.txt"))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelFailure, match="optimum-cli export onnx"):
        source_of(str(empty))


def test_a_folder_with_other_graphs_alone_says_which(tmp_path: Path) -> None:
    files(tmp_path, "tokenizer.json", "onnx/model_fp16.onnx", "onnx/model_quantized.onnx")
    names = r"onnx.model_fp16\.onnx, onnx.model_quantized\.onnx, and no model\.onnx; name the file"
    with pytest.raises(ModelFailure, match=names):
        source_of(str(tmp_path))
    quantized = str(tmp_path / "onnx/model_quantized.onnx")
    assert source_of(quantized) == ModelSource("text", quantized)
