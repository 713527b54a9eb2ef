"""Folders of encoders whose graph looks tokens up in a table, and files beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from tests.models.graphs import WORDS, tokenizer
from tokenizers import Tokenizer

from headway.models.runners.text import TextModel

WIDTH = 4
TABLE = np.random.default_rng(3).normal(size=(len(WORDS), WIDTH)).astype(np.float32)
KINDS = {np.float16: TensorProto.FLOAT16, np.float32: TensorProto.FLOAT}


def folder(
    place: Path,
    files: Mapping[str, Any] | None = None,
    *,
    table: np.ndarray = TABLE,
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    output: str = "last_hidden_state",
    added: str = "",
    transposed: tuple[int, ...] = (),
    summed: bool = False,
    last_place: bool = False,
    shape: tuple[str | int | None, str | int | None] = ("texts", "tokens"),
    made: Tokenizer | None = None,
) -> Path:
    """Write a folder.

    Args:
        place: where.
        files: JSON by name, or weights for a name that ends in .safetensors.
        table: a row for each token, of any float type.
        inputs: of the graph.
        output: its name.
        added: an input that is added to each number.
        transposed: axes of the output, in their order.
        summed: whether the output is the sum over the tokens.
        last_place: whether it is what stands last, be it padding.
        shape: of the inputs, as the graph has it.
        made: the tokenizer.
    """
    place.mkdir(parents=True, exist_ok=True)
    kind = KINDS[table.dtype.type]
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["looked_up"])]
    last, axes = "looked_up", 3
    constants = [numpy_helper.from_array(table, "table")]
    if added:
        constants.append(numpy_helper.from_array(np.array([2]), "last_axis"))
        nodes += [
            helper.make_node("Unsqueeze", [added, "last_axis"], ["column"]),
            helper.make_node("Cast", ["column"], ["numbers"], to=kind),
            helper.make_node("Add", [last, "numbers"], ["sum"]),
        ]
        last = "sum"
    if summed:
        constants.append(numpy_helper.from_array(np.array([1]), "tokens_axis"))
        nodes.append(helper.make_node("ReduceSum", [last, "tokens_axis"], ["total"], keepdims=0))
        last, axes = "total", 2
    if last_place:
        constants.append(numpy_helper.from_array(np.array(-1), "last_place"))
        nodes.append(helper.make_node("Gather", [last, "last_place"], ["at_last"], axis=1))
        last, axes = "at_last", 2
    if transposed:
        nodes.append(helper.make_node("Transpose", [last], ["turned"], perm=transposed))
        last = "turned"
    nodes.append(helper.make_node("Identity", [last], [output]))
    given = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in inputs]
    answered = [helper.make_tensor_value_info(output, kind, [None] * axes)]
    graph = helper.make_graph(nodes, "encoder", given, answered, constants)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), place / "model.onnx")
    if made is None:
        made = tokenizer()
        made.no_truncation()
    made.save(str(place / "tokenizer.json"))
    for name, content in (files or {}).items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".safetensors"):
            save_file(content, place / name)
        else:
            (place / name).write_text(json.dumps(content))
    return place


def loaded(place: Path, files: Mapping[str, Any] | None = None, **graph: Any) -> TextModel:
    """The model in a folder that is written there."""
    return TextModel(str(folder(place, files, **graph)), threads=1)


def modules(*kinds: str) -> list[dict[str, Any]]:
    """`modules.json` of a Transformer and `kinds` after it."""
    named = [f"sentence_transformers.models.{k}" if "." not in k else k for k in kinds]
    entries = [("sentence_transformers.models.Transformer", "")]
    entries += [(k, f"{n}_{k.rpartition('.')[2]}") for n, k in enumerate(named, 1)]
    return [
        {"idx": n, "name": str(n), "path": path, "type": kind}
        for n, (kind, path) in enumerate(entries)
    ]
