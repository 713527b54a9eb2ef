"""ONNX graphs from tensors to tensors."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.models.graphs import doubled, echoed

from headway.models.runners.onnx_graph import OnnxGraph
from headway.models.signature import BadItem, ModelFailure, TensorSpec
from headway.models.stacked import Tensors


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


# ---- graphs without a batch axis, and half precision --------------------------------------------


def graph(
    place: Path,
    node: str,
    into: list[str | int | None],
    out: list[str | int | None],
    kinds: tuple[int, int] = (TensorProto.FLOAT, TensorProto.FLOAT),
    **attributes: object,
) -> OnnxGraph:
    """y = node(x)."""
    inputs = [helper.make_tensor_value_info("x", kinds[0], into)] if into else []
    outputs = [helper.make_tensor_value_info("y", kinds[1], out)]
    nodes = [helper.make_node(node, ["x"] if into else [], ["y"], **attributes)]
    made = helper.make_model(
        helper.make_graph(nodes, "graph", inputs, outputs),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.save(made, place)
    return OnnxGraph(str(place), threads=1)


@pytest.mark.parametrize(
    ("node", "into", "out", "attributes"),
    [
        ("Transpose", ["rows", 3], [3, "rows"], {}),
        ("Transpose", ["rows", "tokens"], ["tokens", "rows"], {}),
        ("ReduceSum", ["rows", 3], [], {"keepdims": 0}),
        ("ReduceSum", ["rows", 3], [1, 1], {}),
        ("Identity", [3, 3], [3, 3], {}),
    ],
)
def test_a_graph_whose_shapes_have_no_batch_runs_one_request_at_a_time(
    tmp_path: Path, node: str, into: list, out: list, attributes: dict
) -> None:
    made = graph(tmp_path / "m.onnx", node, into, out, **attributes)
    assert not made.signature.batched
    wholes: list[Tensors] = [{"x": np.eye(3, dtype=np.float32) * n} for n in range(2)]
    expected = {"Transpose": lambda x: x.T, "Identity": lambda x: x, "ReduceSum": np.sum}[node]
    for whole, found in zip(wholes, made.run(wholes), strict=True):
        np.testing.assert_allclose(found["y"].squeeze(), expected(whole["x"]))


def test_a_transposed_output_whose_axes_have_no_names_is_refused(tmp_path: Path) -> None:
    made = graph(tmp_path / "m.onnx", "Transpose", [None, None], [None, None])
    items: list[Tensors] = [{"x": np.arange(2, dtype=np.float32)}] * 2
    with pytest.raises(ModelFailure, match="is no row for each; export it with a batch axis"):
        made.run(items)


def test_bfloat16_is_read_and_written(tmp_path: Path) -> None:
    kinds = (TensorProto.BFLOAT16, TensorProto.FLOAT)
    rows: list[str | int | None] = ["rows", 2]
    read = graph(tmp_path / "a.onnx", "Cast", rows, rows, kinds, to=TensorProto.FLOAT)
    assert read.signature.inputs == (TensorSpec("x", "BF16", (-1, 2)),)
    halves = np.array([[1.5, -2], [0.25, 3e38]], ml_dtypes.bfloat16)
    found = read.run([{"x": row} for row in halves])
    assert np.array_equal([one["y"] for one in found], halves.astype(np.float32))
    written = graph(tmp_path / "b.onnx", "Cast", rows, rows, kinds[::-1], to=TensorProto.BFLOAT16)
    assert written.signature.outputs == (TensorSpec("y", "BF16", (-1, 2)),)
    found = written.run([{"x": row.astype(np.float32)} for row in halves])
    assert np.array_equal([one["y"] for one in found], halves)
    assert found[0]["y"].dtype == halves.dtype


def test_a_list_with_a_mapping_for_each_item_is_answered_row_by_row(tmp_path: Path) -> None:
    zipped = helper.make_node(
        "ZipMap", ["x"], ["z"], domain="ai.onnx.ml", classlabels_strings=["no", "yes"]
    )
    kind = helper.make_sequence_type_proto(
        helper.make_map_type_proto(
            TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
        )
    )
    made = helper.make_model(
        helper.make_graph(
            [zipped],
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 2])],
            [helper.make_value_info("z", kind)],
        ),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=9,
    )
    onnx.save(made, tmp_path / "m.onnx")
    served = OnnxGraph(str(tmp_path / "m.onnx"), threads=1)
    assert served.signature.batched
    found = served.run([{"x": np.array([n, 1 - n], np.float32)} for n in (0, 1)])
    assert [one["z"] for one in found] == [{"no": 0, "yes": 1}, {"no": 1, "yes": 0}]
