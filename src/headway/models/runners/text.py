"""A transformer that takes texts and returns vectors, classes or scores of pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headway.models.encoder.classes import activation_of, labels_of
from headway.models.encoder.feeds import Batch, Feeds, is_typed
from headway.models.encoder.folder import EncoderFolder, read_folder
from headway.models.encoder.limits import longest_text, position_offset
from headway.models.encoder.pooling import pooling_of
from headway.models.encoder.prompts import prompts_of, similarity_of
from headway.models.encoder.special import check_special_tokens
from headway.models.encoder.stages import Stage, stages_after_graph, stages_of
from headway.models.runners.onnx_session import run, session
from headway.models.signature import ModelFailure, Signature, Task, TensorSpec
from headway.models.source import folder_of, graph_in
from headway.models.stacked import CLOSE

POOLED = ("sentence_embedding", "embedding", "embeddings", "text_embeds")
"""Names of outputs that are vectors of whole texts."""
TOKENS = ("token_embeddings", "last_hidden_state")
"""Names of outputs that are vectors of tokens."""
LOGITS = "logits"
ROUNDING = 4.0
"""What padding changes is more than so many times what another text changes."""


class TextModel:
    """Runs the ONNX graph in a folder in the layout of Hugging Face's exporters.

    The files beside it say how vectors of tokens become vectors of texts, how long a text may be
    and what a classifier's logits mean (`headway.models.encoder`). Vectors are what
    sentence-transformers answers; of a folder without `modules.json` they have unit length, like
    OpenAI's. `location` is the folder, or a graph in it.

    Raises:
        ModelFailure: a file is missing or damaged, or asks for what Headway does not know.
    """

    def __init__(self, location: str, threads: int) -> None:
        place = Path(location)
        files = read_folder(place if place.is_dir() else folder_of(place))
        tokenizer = files.tokenizer()
        check_special_tokens(files, tokenizer)
        self._pooling = pooling_of(files)
        graph = graph_in(files.path) if place.is_dir() else place
        if graph is None:
            from headway.models.runners.bert_graph import graph_of

            graph = graph_of(files.path)
        self._session: Any = session(graph, threads)
        stated = files.config.get("pad_token_id")
        padding = stated if isinstance(stated, int) and stated > 0 else 0
        self._feeds = Feeds(
            self._session.get_inputs(),
            graph,
            padding,
            position_offset(files),
            is_typed(files),
        )
        prompts = prompts_of(files, self._pooling)
        uncounted = any(prompts.texts.values()) and not prompts.counted
        self._output = _chosen(self._session.get_outputs(), graph, uncounted)
        self._stages: tuple[Stage, ...] = ()
        batch, found = self._tried(graph)
        task = _task(self._output, found.ndim, files, graph)
        if found.ndim == 3:
            self._stages = stages_of(files, self._pooling, found.shape[2])
        elif task == "embed":
            self._stages = stages_after_graph(files, found.shape[1])
        width = self._vectors(found, batch).shape[1]
        self._sees_padding = self._differs_beside_longer(padding)
        if task == "classify" and width == 1:
            task = "rerank"
        if task == "rerank" and prompts.named(None):
            raise ModelFailure(
                f"{files.path} has a default prompt, which pairs of texts do not get"
            )
        labels = labels_of(files, width) if task != "embed" else ()
        limits = (longest_text(files, tokenizer), self._feeds.tokens)
        named = {"embed": "embedding", "rerank": "score"}.get(task, "scores")
        self.signature = Signature(
            task=task,
            platform="onnxruntime_onnx",
            inputs=(TensorSpec("text", "BYTES", (-1,)),),
            outputs=(TensorSpec(named, "FP32", (-1, width)),),
            tokenizer=tokenizer,
            max_tokens=min((limit for limit in limits if limit is not None), default=None),
            cut_at_start=files.tokenizer_config.get("truncation_side") == "left",
            labels=labels,
            activation=activation_of(files, width) if labels else "softmax",
            prompts=prompts,
            similarity=similarity_of(files),
        )

    def run(self, items: list[np.ndarray]) -> np.ndarray:
        """Return a row for each item: its vector, or its logits.

        Args:
            items: token ids (tokens,), or rows of them, as `Feeds.batch` takes them.

        Raises:
            BadItem: nothing of a text is left behind its prompt.
        """
        if self._feeds.alone:
            return np.concatenate([self._run([item]) for item in items])
        if self._sees_padding:
            return self._by_length(items)
        return self._run(items)

    def _by_length(self, items: list[np.ndarray]) -> np.ndarray:
        alike: dict[int, list[int]] = {}
        for place, item in enumerate(items):
            alike.setdefault(item.shape[-1], []).append(place)
        rows = np.concatenate([self._run([items[p] for p in of]) for of in alike.values()])
        places = [place for of in alike.values() for place in of]
        return np.ascontiguousarray(rows[np.argsort(places)])

    def _differs_beside_longer(self, padding: int) -> bool:
        """Whether a text's answer depends on the padding that a longer text beside it causes.

        A graph that reads the last token by its place, as XLNet's classifiers and decoders do,
        reads padding there. It gets texts of equal length only. What quantized graphs round
        depends on the batch, with or without padding.
        """
        if self._feeds.alone or self._feeds.tokens is not None:
            return False
        one, two = [token for token in (1, 2, 3) if token != padding][:2]
        texts = ([one, two], [two, one], [two, one] * 3)
        short, other, long = (np.array(ids, np.int32) for ids in texts)
        alone = self._first_of([short])
        rounding = np.abs(alone - self._first_of([short, other])).max()
        padding = np.abs(alone - self._first_of([short, long])).max()
        return bool(padding > max(CLOSE * np.abs(alone).max(), ROUNDING * rounding))

    def _first_of(self, items: list[np.ndarray]) -> np.ndarray:
        batch = self._feeds.batch(items)
        (found,) = run(self._session, [self._output], self._feeds.of(batch))
        first: np.ndarray = self._vectors(found, batch)[0]
        return first

    def _run(self, items: list[np.ndarray]) -> np.ndarray:
        batch = self._feeds.batch(items)
        (found,) = run(self._session, [self._output], self._feeds.of(batch))
        if found.ndim == 2 and found.dtype.itemsize < np.dtype(np.float32).itemsize:
            _must_have_fitted(found.astype(np.float32))
        return np.ascontiguousarray(self._vectors(found, batch), np.float32)

    def _vectors(self, found: np.ndarray, batch: Batch) -> np.ndarray:
        found = found.astype(np.float32, copy=False)
        if found.ndim == 3:
            found = self._pooling(found, batch.mask, batch.counted)
        for stage in self._stages:
            found = stage(found)
        return found

    def _tried(self, graph: Path) -> tuple[Batch, np.ndarray]:
        """A few texts, and what the graph returns for them.

        Raises:
            ModelFailure: it fails on them, or does not return something for each text.
        """
        batch = self._feeds.probe()
        try:
            (found,) = run(self._session, [self._output], self._feeds.of(batch))
        except Exception as error:  # its errors have no common base class
            raise ModelFailure(f"{graph} fails on texts ({error})") from None
        if found.shape[:-1] not in (batch.ids.shape, batch.ids.shape[:1]):
            raise ModelFailure(
                f"{graph} returns {self._output} of shape {list(found.shape)} for {len(batch.ids)} "
                f"texts of {batch.ids.shape[1]} tokens; export it with the texts on the first axis"
            )
        return batch, found


def _must_have_fitted(rows: np.ndarray) -> None:
    """Nothing, if what a graph made in half precision did not overflow. Raises ModelFailure.

    A norm that overflows leaves nothing but zeros.
    """
    if not np.isfinite(rows).all() or not rows.any(axis=1).all():
        raise ModelFailure(
            "the graph's half precision is too narrow for this text; export it with its pooling in "
            "single precision, or without a pooling"
        )


def _chosen(outputs: list[Any], graph: Path, uncounted: bool) -> str:
    """The name of the output that is read.

    Args:
        outputs: of the session.
        graph: its file.
        uncounted: whether there are prompts that do not count for a vector.

    Raises:
        ModelFailure: none is known.
    """
    types = {of.name: of.type for of in outputs}
    pooled = next((name for name in POOLED if name in types), None)
    tokens = next((name for name in TOKENS if name in types), None)
    if pooled is not None and (uncounted or types[pooled] != "tensor(float)"):
        if tokens is not None:
            return tokens  # what is pooled in half precision overflows
        if uncounted:
            raise ModelFailure(
                f"{graph} counts the tokens of prompts, which the model does not; export it "
                "without its pooling"
            )
    found = pooled or tokens or (LOGITS if LOGITS in types else None)
    if found is None and len(types) > 1:
        raise ModelFailure(
            f"{graph} returns {', '.join(types)}; Headway reads "
            f"{', '.join((*POOLED, *TOKENS, LOGITS))}"
        )
    return found or next(iter(types))


def _task(output: str, axes: int, files: EncoderFolder, graph: Path) -> Task:
    """What the graph's `output` is. Raises ModelFailure for logits of tokens."""
    classifier = any(
        "SequenceClassification" in name for name in files.config.get("architectures") or ()
    )
    if output in (*POOLED, *TOKENS) or (output != LOGITS and not (classifier and axes == 2)):
        return "embed"
    if axes != 2:
        raise ModelFailure(
            f"{graph} returns {output} of each token; export it for feature-extraction or "
            "text-classification"
        )
    return "classify"
