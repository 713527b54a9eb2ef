"""Small ONNX models, made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cat", "is", "an", "animal"]
MOST_TOKENS = 8

_OPSETS = [helper.make_opsetid("", 17)]


def _save(graph: onnx.GraphProto, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=_OPSETS, ir_version=9), path)
    return path


def doubled(path: Path, rows: int | str = "rows") -> Path:
    """y = 2x + z; x is (rows, 2) of FP32, z (rows,) of INT64; `rows` is fixed or any."""
    nodes = [
        helper.make_node("Cast", ["z"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["float", "one"], ["column"]),
        helper.make_node("Add", ["x", "x"], ["twice"]),
        helper.make_node("Add", ["twice", "column"], ["y"]),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 2]),
        helper.make_tensor_value_info("z", TensorProto.INT64, [rows]),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, 2])]
    one = numpy_helper.from_array(np.array([1]), "one")
    return _save(helper.make_graph(nodes, "doubled", inputs, outputs, [one]), path)


def summed(path: Path) -> Path:
    """sum = the sum of each row of x, of FP32 and any size."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", "numbers"])
    total = helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["rows"])
    last = numpy_helper.from_array(np.array([1]), "last")
    nodes = [helper.make_node("ReduceSum", ["x", "last"], ["sum"], keepdims=0)]
    return _save(helper.make_graph(nodes, "summed", [x], [total], [last]), path)


def echoed(path: Path) -> Path:
    """Texts as they came."""
    inputs = [helper.make_tensor_value_info("text", TensorProto.STRING, ["rows"])]
    outputs = [helper.make_tensor_value_info("same", TensorProto.STRING, ["rows"])]
    nodes = [helper.make_node("Identity", ["text"], ["same"])]
    return _save(helper.make_graph(nodes, "echoed", inputs, outputs), path)


def tokenizer() -> Tokenizer:
    """A tokenizer of a few words, which truncates and pads if it is let."""
    made = Tokenizer(models.WordPiece({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.enable_truncation(3)
    made.enable_padding(length=20)
    return made


def embedder(folder: Path) -> Path:
    """A folder whose vectors are the mean of rows of a table; texts have up to 8 tokens."""
    table = np.eye(len(WORDS), 4, dtype=np.float32) + 0.1
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])]
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["texts", "tokens"])]
    outputs = [
        helper.make_tensor_value_info(
            "last_hidden_state", TensorProto.FLOAT, ["texts", "tokens", 4]
        )
    ]
    graph = helper.make_graph(
        nodes, "embedder", inputs, outputs, [numpy_helper.from_array(table, "table")]
    )
    _save(graph, folder / "model.onnx")
    tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": MOST_TOKENS}))
    return folder
