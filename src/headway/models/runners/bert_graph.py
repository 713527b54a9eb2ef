"""Writes the ONNX graph of a BERT encoder from its weights, without torch.

Attention, layer normalisation and activation use onnxruntime's fused operators (`com.microsoft`),
which exist for CPU and CUDA.

Source: Devlin et al. 2019; onnxruntime's contributed operators (docs/ContribOperators.md).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headway.cache import cache_folder
from headway.extras import install_extra
from headway.models.signature import ModelFailure
from headway.models.source import WEIGHTS

VERSION = 2
"""Version of this writer: graphs that another version wrote are written again."""

_KNOWN: dict[str, Any] = {
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "pruned_heads": {},
    "quantization_config": None,
    "auto_map": None,
}
"""The settings of a BERT that this writer supports; `auto_map` names code of the model's own."""
_UNUSED = ("pooler.", "cls.", "embeddings.position_ids", "embeddings.token_type_ids")
"""Weights that vectors of tokens do not need."""


def graph_of(folder: Path) -> Path:
    """The graph of the model in `folder`, from the cache if it was written before.

    Args:
        folder: has `config.json` and `model.safetensors` of a BertModel or a
            BertForSequenceClassification.

    Returns:
        A graph from tokens to `logits`, or to the vectors of tokens, `last_hidden_state`.

    Raises:
        ModelFailure: it is another kind of model, or the libraries that write graphs are missing.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        stat = (folder / WEIGHTS).stat()
    except (OSError, ValueError) as error:
        raise ModelFailure(f"{folder} is no model's folder ({error})") from None
    if config.get("model_type") != "bert":
        raise ModelFailure(
            f"{folder} holds a {config.get('model_type')} model and no ONNX graph; export one "
            "with `optimum-cli export onnx --model ID FOLDER`"
        )
    for name, known in _KNOWN.items():
        if config.get(name, known) != known:
            raise ModelFailure(
                f"{folder} has {name} {config[name]!r}, and graphs are written for {known!r} only; "
                "export one with `optimum-cli export onnx --model ID FOLDER`"
            )
    key = f"{VERSION} {folder.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    place = cache_folder() / "graphs" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.onnx"
    if not place.is_file():
        _write(_graph(folder, config), place)
    return place


def _write(graph: bytes, place: Path) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent, prefix="graph-")
        with os.fdopen(handle, "wb") as file:
            file.write(graph)
        shutil.move(name, place)
    except OSError as error:
        raise ModelFailure(f"the graph cannot be written to {place} ({error})") from None


def _graph(folder: Path, config: dict[str, Any]) -> bytes:
    try:
        import onnx
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ModelFailure(f"{error.name} is not installed: {install_extra('models')}") from None
    weights = load_file(folder / WEIGHTS)
    prefix = "bert." if "bert.embeddings.word_embeddings.weight" in weights else ""
    try:
        writer = _Writer(onnx, {n.removeprefix(prefix): w for n, w in weights.items()}, config)
        hidden = writer.encoder()
        shape: list[int | str] = ["tokens", int(config["hidden_size"])]
        name = "last_hidden_state"
        if "classifier.weight" in weights:
            hidden, name = writer.classified(hidden), "logits"
            shape = [len(weights["classifier.weight"])]
        unknown = writer.unused()
        if unknown:
            raise ModelFailure(
                f"{folder} has {unknown[0]}, which a BERT model has not; export its graph with "
                "`optimum-cli export onnx --model ID FOLDER`"
            )
    except KeyError as error:
        raise ModelFailure(f"{folder} lacks {error}, which a BERT model has") from None
    model: bytes = writer.model(hidden, name, shape).SerializeToString()
    return model


class _Writer:
    """Collects the nodes and weights of one graph; tensors are referred to by name."""

    def __init__(self, onnx: Any, weights: dict[str, np.ndarray], config: dict[str, Any]) -> None:
        self._onnx = onnx
        self._weights = weights
        self._read: set[str] = set()
        self._config = config
        self._epsilon = float(config.get("layer_norm_eps", 1e-12))
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def encoder(self) -> str:
        """Add all layers; returns the vectors of tokens, (texts, tokens, hidden)."""
        onnx = self._onnx
        ids, mask, types = (
            self._node("Cast", [name], to=onnx.TensorProto.INT32)
            for name in ("input_ids", "attention_mask", "token_type_ids")
        )
        self._mask = mask
        tables = [
            self._weight(f"embeddings.{name}_embeddings.weight")
            for name in ("word", "position", "token_type")
        ]
        norm = self._norm("embeddings.LayerNorm")
        hidden = self._node(
            "EmbedLayerNormalization",
            [ids, types, *tables, *norm],
            outputs=2,
            fused=True,
            epsilon=self._epsilon,
        )
        for layer in range(int(self._config["num_hidden_layers"])):
            hidden = self._layer(f"encoder.layer.{layer}", hidden)
        return hidden

    def classified(self, hidden: str) -> str:
        """Add the classifier; returns logits, (texts, classes)."""
        first = self._dense("pooler.dense", self._first(hidden))
        return self._dense("classifier", self._node("Tanh", [first]))

    def model(self, output: str, name: str, shape: list[int | str]) -> Any:
        """The finished model, whose `output` is called `name`; each text's has this shape."""
        onnx = self._onnx
        helper, types = onnx.helper, onnx.TensorProto
        self._nodes.append(helper.make_node("Identity", [output], [name]))
        inputs = [
            helper.make_tensor_value_info(of, types.INT64, ["texts", "tokens"])
            for of in ("input_ids", "attention_mask", "token_type_ids")
        ]
        outputs = [helper.make_tensor_value_info(name, types.FLOAT, ["texts", *shape])]
        graph = helper.make_graph(
            self._nodes, "bert", inputs, outputs, list(self._constants.values())
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    def unused(self) -> list[str]:
        """Names of the weights that are not in the graph and should be."""
        left = self._weights.keys() - self._read
        return sorted(name for name in left if not name.startswith(_UNUSED))

    def _of(self, name: str) -> np.ndarray:
        self._read.add(name)
        return self._weights[name]

    def _layer(self, name: str, hidden: str) -> str:
        own = f"{name}.attention.self"
        parts = [f"{own}.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self._of(f"{part}.weight").T for part in parts], axis=1)
        bias = np.concatenate([self._of(f"{part}.bias") for part in parts])
        attended = self._node(
            "Attention",
            [
                hidden,
                self._constant(f"{own}.weight", weight),
                self._constant(f"{own}.bias", bias),
                self._mask,
            ],
            fused=True,
            num_heads=int(self._config["num_attention_heads"]),
        )
        hidden = self._added(f"{name}.attention.output", attended, hidden)
        inner = self._node("MatMul", [hidden, self._transposed(f"{name}.intermediate.dense")])
        bias_of = self._weight(f"{name}.intermediate.dense.bias")
        inner = self._node("BiasGelu", [inner, bias_of], fused=True)
        return self._added(f"{name}.output", inner, hidden)

    def _added(self, name: str, inner: str, hidden: str) -> str:
        """A dense layer, its residual connection, and their normalisation."""
        product = self._node("MatMul", [inner, self._transposed(f"{name}.dense")])
        return self._node(
            "SkipLayerNormalization",
            [product, hidden, *self._norm(f"{name}.LayerNorm"), self._weight(f"{name}.dense.bias")],
            fused=True,
            epsilon=self._epsilon,
        )

    def _dense(self, name: str, inner: str) -> str:
        product = self._node("MatMul", [inner, self._transposed(name)])
        return self._node("Add", [product, self._weight(f"{name}.bias")])

    def _first(self, hidden: str) -> str:
        return self._node("Gather", [hidden, self._constant("first", np.array(0))], axis=1)

    def _norm(self, name: str) -> list[str]:
        return [self._weight(f"{name}.weight"), self._weight(f"{name}.bias")]

    def _weight(self, name: str) -> str:
        return self._constant(name, self._of(name))

    def _transposed(self, name: str) -> str:
        return self._constant(f"{name}.weight", self._of(f"{name}.weight").T)

    def _constant(self, name: str, array: np.ndarray) -> str:
        if name not in self._constants:
            # numpy does not know that bfloat16 is a float.
            whole = array.dtype.kind in "iub"
            plain = np.ascontiguousarray(array.astype(np.int64 if whole else np.float32))
            plain = plain.reshape(array.shape)
            self._constants[name] = self._onnx.numpy_helper.from_array(plain, name)
        return name

    def _node(
        self,
        operator: str,
        inputs: Sequence[str],
        *,
        outputs: int = 1,
        fused: bool = False,
        **attributes: Any,
    ) -> str:
        """One more node; the name of its first output."""
        names = [f"{operator}_{len(self._nodes)}_{n}" for n in range(outputs)]
        domain = "com.microsoft" if fused else ""
        self._nodes.append(
            self._onnx.helper.make_node(operator, inputs, names, domain=domain, **attributes)
        )
        return names[0]
