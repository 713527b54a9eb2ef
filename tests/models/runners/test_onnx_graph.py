"""ONNX graphs from tensors to tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.models.graphs import doubled, echoed

from headway.models.runners.onnx_graph import OnnxGraph
from headway.models.signature import BadItem, ModelFailure, TensorSpec


def item(x: list[float], z: int) -> dict[str, np.ndarray]:
    return {"x": np.array(x, np.float32), "z": np.array(z, np.int64)}


def test_the_signature_has_its_inputs_and_outputs(tmp_path: Path) -> None:
    signature = OnnxGraph(str(doubled(tmp_path / "m.onnx")), threads=1).signature
    assert signature.inputs == (TensorSpec("x", "FP32", (-1, 2)), TensorSpec("z", "INT64", (-1,)))
    assert signature.outputs == (TensorSpec("y", "FP32", (-1, 2)),)
    assert signature.batched and not signature.takes_text


def test_items_of_a_batch_run_together_and_each_gets_its_own(tmp_path: Path) -> None:
    graph = OnnxGraph(str(doubled(tmp_path / "m.onnx")), threads=1)
    found = graph.run([item([1, 2], 1), item([3, 4], 0), item([0, 0], -1)])
    assert [one["y"].tolist() for one in found] == [[3, 5], [6, 8], [-1, -1]]


def test_a_graph_of_a_fixed_size_gets_whole_tensors_one_after_the_other(tmp_path: Path) -> None:
    graph = OnnxGraph(str(doubled(tmp_path / "m.onnx", rows=3)), threads=1)
    assert not graph.signature.batched
    whole = {"x": np.ones((3, 2), np.float32), "z": np.arange(3)}
    assert [one["y"].shape for one in graph.run([whole, whole])] == [(3, 2), (3, 2)]


def test_bytes_are_text(tmp_path: Path) -> None:
    graph = OnnxGraph(str(echoed(tmp_path / "m.onnx")), threads=1)
    found = graph.run([{"text": np.array("é".encode(), object)}, {"text": np.array("b", object)}])
    assert [str(one["same"]) for one in found] == ["é", "b"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"x": np.zeros(3, np.float32), "z": np.array(0)},
        {"x": np.zeros(2), "z": np.array(0)},
        {"x": np.zeros((2, 2), np.float32), "z": np.array(0)},
    ],
)
def test_tensors_that_do_not_fit_are_the_clients_fault(
    tmp_path: Path, wrong: dict[str, np.ndarray]
) -> None:
    graph = OnnxGraph(str(doubled(tmp_path / "m.onnx")), threads=1)
    with pytest.raises(BadItem):
        graph.run([wrong])


def test_files_that_are_no_graph_are_named(tmp_path: Path) -> None:
    whole = doubled(tmp_path / "m.onnx").read_bytes()
    for content in (b"", b"not a graph", whole[: len(whole) // 2]):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(ModelFailure, match=r"bad\.onnx is no ONNX model that can be loaded"):
            OnnxGraph(str(tmp_path / "bad.onnx"), threads=1)
    with pytest.raises(ModelFailure, match="is no ONNX model"):
        OnnxGraph(str(tmp_path / "missing.onnx"), threads=1)
