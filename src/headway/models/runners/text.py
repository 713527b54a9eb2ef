"""A transformer that takes texts and returns vectors, classes or scores of pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from headway.models.runners.onnx_session import session
from headway.models.signature import ModelFailure, Signature, Task, TensorSpec
from headway.models.source import TOKENIZER, graph_in

POOLED = ("sentence_embedding", "embedding", "embeddings", "text_embeds")
"""Names of outputs that are vectors of whole texts."""


class TextModel:
    """Runs the ONNX graph in a folder in the layout of Hugging Face's exporters.

    `config.json` says whether it is a classifier, `1_Pooling/config.json` how the vectors of
    tokens become the vector of the text, `sentence_bert_config.json` how long a text may be.
    Vectors have unit length, like OpenAI's. `location` is the folder, or a graph in it.

    Raises:
        ModelFailure: a file is missing or damaged.
    """

    def __init__(self, location: str, threads: int) -> None:
        place = Path(location)
        folder = place if place.is_dir() else place.parent
        self._pooling = _pooling(folder)
        graph = graph_in(folder) if place.is_dir() else place
        if graph is None:
            graph = _written(folder, self._pooling)
        self._session: Any = session(graph, threads)
        self._inputs = {of.name: of.type for of in self._session.get_inputs()}
        if "input_ids" not in self._inputs:
            raise ModelFailure(
                f"{graph} takes {', '.join(self._inputs)}, not input_ids; take the tokenizer out "
                "of its folder to serve it as a model of tensors"
            )
        config = _read(folder / "config.json")
        limits = _read(folder / "sentence_bert_config.json")
        self._pad = int(config.get("pad_token_id") or 0)
        self._output, self._width = self._chosen_output()
        task = _task(config, self._output)
        labels = config.get("id2label") or {}
        most = limits.get("max_seq_length") or config.get("max_position_embeddings")
        named = {"embed": "embedding", "rerank": "score"}.get(task, "scores")
        self.signature = Signature(
            task=task,
            platform="onnxruntime_onnx",
            inputs=(TensorSpec("text", "BYTES", (-1,)),),
            outputs=(TensorSpec(named, "FP32", (-1, self._width)),),
            tokenizer=(folder / TOKENIZER).read_text(encoding="utf-8"),
            max_tokens=int(most) if most else None,
            labels=tuple(str(labels[key]) for key in sorted(labels, key=int)),
        )

    def run(self, items: list[np.ndarray]) -> np.ndarray:
        """Return a row for each item: its vector, or its scores.

        Args:
            items: token ids (tokens,), or token ids and token types (2, tokens).
        """
        longest = max(item.shape[-1] for item in items)
        ids = np.full((len(items), longest), self._pad, np.int64)
        mask = np.zeros((len(items), longest), np.int64)
        types = np.zeros((len(items), longest), np.int64)
        for row, item in enumerate(items):
            tokens = item.shape[-1]
            ids[row, :tokens] = item if item.ndim == 1 else item[0]
            mask[row, :tokens] = 1
            if item.ndim == 2:
                types[row, :tokens] = item[1]
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        feed = {name: given[name] for name in self._inputs if name in given}
        (found,) = self._session.run([self._output], feed)
        if found.ndim == 3:
            found = self._pooled(found, mask)
        if self.signature.task == "embed":
            found = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return np.ascontiguousarray(found, np.float32)

    def _pooled(self, tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if self._pooling == "cls":
            first: np.ndarray = tokens[:, 0]
            return first
        if self._pooling == "lasttoken":
            last: np.ndarray = tokens[np.arange(len(tokens)), mask.sum(axis=1) - 1]
            return last
        weights = mask[:, :, None].astype(tokens.dtype)
        if self._pooling == "max":
            largest: np.ndarray = np.where(weights > 0, tokens, -np.inf).max(axis=1)
            return largest
        mean: np.ndarray = (tokens * weights).sum(axis=1) / weights.sum(axis=1)
        return mean

    def _chosen_output(self) -> tuple[str, int]:
        outputs = {of.name: of.shape for of in self._session.get_outputs()}
        name = next((name for name in POOLED if name in outputs), next(iter(outputs)))
        width = outputs[name][-1] if outputs[name] else -1
        return name, width if isinstance(width, int) else -1


def _task(config: dict[str, Any], output: str) -> Task:
    classifier = any("SequenceClassification" in a for a in config.get("architectures") or ())
    if not classifier and output != "logits":
        return "embed"
    return "rerank" if len(config.get("id2label") or {}) == 1 else "classify"


def _written(folder: Path, pooling: str) -> Path:
    """The graph for a folder that has only weights."""
    from headway.models.runners.bert_graph import graph_of

    if pooling not in ("mean", "cls"):
        raise ModelFailure(f"{folder} pools by {pooling}; export its graph to ONNX to serve it")
    return graph_of(folder, "cls" if pooling == "cls" else "mean")


def _pooling(folder: Path) -> str:
    config = _read(folder / "1_Pooling" / "config.json")
    chosen = [mode for mode in ("cls", "lasttoken", "max") if config.get(_KEYS[mode])]
    return chosen[0] if chosen else "mean"


_KEYS = {
    "cls": "pooling_mode_cls_token",
    "lasttoken": "pooling_mode_lasttoken",
    "max": "pooling_mode_max_tokens",
}


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty if there is no file. Raises ModelFailure if it is damaged."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFailure(f"{path} is damaged ({error})") from None
    return found if isinstance(found, dict) else {}
