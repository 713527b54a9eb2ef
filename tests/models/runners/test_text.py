"""Encoders, classifiers and rerankers, against what others answer."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.models.graphs import embedder, tokenizer
from tests.models.runners.make_minilm_reference import PLACE, TEXTS

from headway.models.minilm import fetched
from headway.models.runners.bert_graph import graph_of
from headway.models.runners.text import TextModel
from headway.models.signature import ModelFailure
from headway.models.tokens import Tokens

HIDDEN, HEADS, LAYERS, INNER, WORDS, POSITIONS = 8, 2, 2, 16, 9, 12
CONFIG = {
    "model_type": "bert",
    "hidden_size": HIDDEN,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": POSITIONS,
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are written anew, except that of the model that is fetched."""
    minilm = fetched()
    cache = tmp_path_factory.mktemp("cache")
    (cache / minilm.name).symlink_to(minilm)
    monkeypatch.setenv("HEADWAY_CACHE", str(cache))


async def test_the_model_that_comes_with_headway_equals_its_authors_in_a_padded_batch() -> None:
    model = TextModel(str(fetched()), threads=1)
    signature = model.signature
    assert (signature.task, signature.max_tokens) == ("embed", 256)
    assert signature.outputs[0].shape == (-1, 384)
    items = await Tokens(signature).of_texts(TEXTS, 256)
    assert max(map(len, items)) == 256
    reference = np.array(json.loads(PLACE.read_text()))
    np.testing.assert_allclose(model.run(items), reference, atol=1e-4)
    alone = np.concatenate([model.run([item]) for item in items])
    np.testing.assert_allclose(alone, reference, atol=1e-4)


# ---- BERT in numpy ------------------------------------------------------------------------------


def weights(classes: int = 0, prefix: str = "") -> dict[str, np.ndarray]:
    """Random ones of a tiny BERT."""
    chance = np.random.default_rng(7)

    def drawn(*shape: int) -> np.ndarray:
        return chance.normal(0, 0.5, shape).astype(np.float32)

    def dense(name: str, into: int, out: int) -> dict[str, np.ndarray]:
        return {f"{name}.weight": drawn(out, into), f"{name}.bias": drawn(out)}

    def norm(name: str) -> dict[str, np.ndarray]:
        return {f"{name}.weight": 1 + drawn(HIDDEN), f"{name}.bias": drawn(HIDDEN)}

    made = {
        "embeddings.word_embeddings.weight": drawn(WORDS, HIDDEN),
        "embeddings.position_embeddings.weight": drawn(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": drawn(2, HIDDEN),
        **norm("embeddings.LayerNorm"),
        **dense("pooler.dense", HIDDEN, HIDDEN),
    }
    for layer in range(LAYERS):
        own = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            made |= dense(f"{own}.attention.self.{part}", HIDDEN, HIDDEN)
        made |= dense(f"{own}.attention.output.dense", HIDDEN, HIDDEN)
        made |= norm(f"{own}.attention.output.LayerNorm")
        made |= dense(f"{own}.intermediate.dense", HIDDEN, INNER)
        made |= dense(f"{own}.output.dense", INNER, HIDDEN) | norm(f"{own}.output.LayerNorm")
    named = {prefix + name: array for name, array in made.items()}
    return named | (dense("classifier", HIDDEN, classes) if classes else {})


def forward(of: dict[str, np.ndarray], ids: np.ndarray, types: np.ndarray) -> np.ndarray:
    """Vectors of the tokens of one text, (tokens, hidden): Devlin et al. 2019."""
    erf = np.vectorize(math.erf)

    def dense(name: str, x: np.ndarray) -> np.ndarray:
        return x @ of[f"{name}.weight"].T + of[f"{name}.bias"]

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * of[f"{name}.weight"] + of[f"{name}.bias"]

    x = (
        of["embeddings.word_embeddings.weight"][ids]
        + of["embeddings.position_embeddings.weight"][: len(ids)]
        + of["embeddings.token_type_embeddings.weight"][types]
    ).astype(np.float64)
    x = norm("embeddings.LayerNorm", x)
    for layer in range(LAYERS):
        own = f"encoder.layer.{layer}"
        query, key, value = (
            dense(f"{own}.attention.self.{part}", x).reshape(len(ids), HEADS, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        logits = query @ key.swapaxes(1, 2) / np.sqrt(HIDDEN / HEADS)
        chances = np.exp(logits - logits.max(-1, keepdims=True))
        seen = (chances / chances.sum(-1, keepdims=True)) @ value
        seen = dense(f"{own}.attention.output.dense", seen.swapaxes(0, 1).reshape(len(ids), -1))
        x = norm(f"{own}.attention.output.LayerNorm", x + seen)
        inner = dense(f"{own}.intermediate.dense", x)
        inner = 0.5 * inner * (1 + erf(inner / np.sqrt(2)))
        x = norm(f"{own}.output.LayerNorm", x + dense(f"{own}.output.dense", inner))
    return x


def folder(place: Path, of: dict[str, np.ndarray], **config: Any) -> Path:
    """A model as Hugging Face writes it."""
    place.mkdir(exist_ok=True)
    (place / "config.json").write_text(json.dumps(CONFIG | config))
    made = tokenizer()
    made.no_truncation()
    made.save(str(place / "tokenizer.json"))
    save_file(of, place / "model.safetensors")
    return place


IDS = [np.array(ids, np.int32) for ids in ([2, 4, 5, 3], [2, 6, 3], [2, 4, 5, 6, 7, 8, 4, 5, 3])]
PAIRS = [np.array([ids, [0] * 2 + [1] * (len(ids) - 2)], np.int32) for ids in IDS]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_written_encoder_equals_bert_whatever_it_is_batched_with(
    tmp_path: Path, pooling: str
) -> None:
    of = weights()
    place = folder(tmp_path / "m", of)
    (place / "1_Pooling").mkdir()
    (place / "1_Pooling" / "config.json").write_text(
        json.dumps({"pooling_mode_cls_token": pooling == "cls"})
    )
    model = TextModel(str(place), threads=1)
    assert model.signature.max_tokens == POSITIONS
    hidden = [forward(of, ids, np.zeros_like(ids)) for ids in IDS]
    pooled = np.stack([h[0] if pooling == "cls" else h.mean(0) for h in hidden])
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(model.run(IDS), expected, atol=1e-4)
    np.testing.assert_allclose(model.run(IDS[1:2]), expected[1:2], atol=1e-4)


def logits(of: dict[str, np.ndarray], item: np.ndarray) -> np.ndarray:
    plain = {name.removeprefix("bert."): array for name, array in of.items()}
    ids, types = item if item.ndim == 2 else (item, np.zeros_like(item))
    first = forward(plain, ids, types)[0]
    pooled = np.tanh(first @ plain["pooler.dense.weight"].T + plain["pooler.dense.bias"])
    return pooled @ plain["classifier.weight"].T + plain["classifier.bias"]


def test_a_written_classifier_equals_bert(tmp_path: Path) -> None:
    of = weights(classes=3, prefix="bert.")
    labels = {"0": "sad", "1": "so", "2": "glad"}
    place = folder(
        tmp_path / "m", of, architectures=["BertForSequenceClassification"], id2label=labels
    )
    model = TextModel(str(place), threads=1)
    assert model.signature.task == "classify"
    assert model.signature.labels == ("sad", "so", "glad")
    expected = np.stack([logits(of, ids) for ids in IDS])
    np.testing.assert_allclose(model.run(IDS), expected, atol=1e-4)


def test_a_written_cross_encoder_equals_bert_on_pairs(tmp_path: Path) -> None:
    of = weights(classes=1, prefix="bert.")
    place = folder(
        tmp_path / "m", of, architectures=["BertForSequenceClassification"], id2label={"0": "s"}
    )
    model = TextModel(str(place), threads=1)
    assert model.signature.task == "rerank"
    expected = np.stack([logits(of, pair) for pair in PAIRS])
    np.testing.assert_allclose(model.run(PAIRS), expected, atol=1e-4)


# ---- what cannot be served -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "gpt2"}, "holds a gpt2 model"),
        ({"hidden_act": "relu"}, "has hidden_act 'relu'"),
        ({"position_embedding_type": "relative_key"}, "has position_embedding_type"),
        ({"is_decoder": True}, "has is_decoder True"),
        ({"pruned_heads": {"0": [1]}}, "has pruned_heads"),
        ({"auto_map": {"AutoModel": "my_bert.MyBert"}}, "has auto_map"),
    ],
)
def test_other_architectures_are_refused(
    tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelFailure, match=f"{message}.*optimum-cli export onnx"):
        graph_of(folder(tmp_path / "m", weights(), **config))


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    of = weights()
    del of["encoder.layer.1.output.dense.bias"]
    with pytest.raises(ModelFailure, match=r"lacks 'encoder\.layer\.1\.output\.dense\.bias'"):
        graph_of(folder(tmp_path / "m", of))


def test_weights_that_are_too_many_are_named(tmp_path: Path) -> None:
    of = weights() | {"encoder.layer.0.gate.weight": np.ones(3, np.float32)}
    with pytest.raises(ModelFailure, match=r"has encoder\.layer\.0\.gate\.weight, which a BERT"):
        graph_of(folder(tmp_path / "m", of))


@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16])
def test_weights_of_half_precision_are_read(tmp_path: Path, half: Any) -> None:
    rounded = {name: array.astype(half) for name, array in weights().items()}
    model = TextModel(str(folder(tmp_path / "m", rounded)), threads=1)
    single = {name: array.astype(np.float32) for name, array in rounded.items()}
    pooled = np.stack([forward(single, ids, np.zeros_like(ids)).mean(0) for ids in IDS])
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(model.run(IDS), expected, atol=1e-4)


def test_a_graph_is_written_once_and_anew_when_the_weights_change(tmp_path: Path) -> None:
    place = folder(tmp_path / "m", weights())
    graph = graph_of(place)
    written_ns = graph.stat().st_mtime_ns
    assert graph_of(place) == graph and graph.stat().st_mtime_ns == written_ns
    (place / "model.safetensors").touch()
    assert graph_of(place) != graph


def test_damaged_files_are_named(tmp_path: Path) -> None:
    place = folder(tmp_path / "m", weights())
    (place / "config.json").write_text("{")
    with pytest.raises(ModelFailure, match=r"config\.json is damaged"):
        TextModel(str(place), threads=1)
    with pytest.raises(ModelFailure, match="no model's folder"):
        graph_of(tmp_path)


def test_a_graph_of_tensors_beside_a_tokenizer_says_what_to_do(tmp_path: Path) -> None:
    from tests.models.graphs import doubled

    place = embedder(tmp_path / "m")
    other = doubled(place / "other.onnx")
    with pytest.raises(ModelFailure, match="takes x, z, not input_ids"):
        TextModel(str(other), threads=1)


@pytest.mark.parametrize("mode", ["cls_token", "max_tokens", "lasttoken", "mean_tokens"])
def test_vectors_of_tokens_are_pooled_as_the_folder_says(tmp_path: Path, mode: str) -> None:
    place = embedder(tmp_path / "m")
    (place / "1_Pooling").mkdir()
    (place / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{mode}": True}))
    table = np.eye(WORDS, 4) + 0.1
    found = TextModel(str(place), threads=1).run(IDS)
    for vector, ids in zip(found, IDS, strict=True):
        rows = table[ids]
        pooled = {
            "cls_token": rows[0],
            "lasttoken": rows[-1],
            "max_tokens": rows.max(0),
            "mean_tokens": rows.mean(0),
        }[mode]
        np.testing.assert_allclose(vector, pooled / np.linalg.norm(pooled), atol=1e-6)
