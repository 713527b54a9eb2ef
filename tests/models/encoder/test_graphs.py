"""Graphs of texts: what they take and return is made to fit, or the model is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tests.models.encoder.folders import TABLE, WIDTH, folder, loaded, modules

from headway.models.runners.text import TextModel
from headway.models.signature import ModelFailure
from headway.models.source import source_of

IDS = [np.array(ids, np.int32) for ids in ([2, 4, 5, 3], [2, 6, 3], [2, 4, 5, 6, 7, 8, 3])]
MEAN = {"pooling_mode": "mean", "embedding_dimension": WIDTH}


@pytest.mark.parametrize(
    ("config", "first"),
    [({}, 0), ({"model_type": "roberta", "pad_token_id": 1}, 2), ({"model_type": "mpnet"}, 2)],
)
def test_positions_are_fed_where_a_graph_takes_them(
    tmp_path: Path, config: dict[str, Any], first: int
) -> None:
    model = loaded(
        tmp_path / "m",
        {"config.json": config, "modules.json": modules("Pooling"), "1_Pooling/config.json": MEAN},
        inputs=("input_ids", "attention_mask", "token_type_ids", "position_ids"),
        added="position_ids",
    )
    at = [np.arange(len(ids))[:, None] + first for ids in IDS]
    expected = [(TABLE[ids] + place).mean(0) for ids, place in zip(IDS, at, strict=True)]
    np.testing.assert_allclose(model.run(IDS), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({"inputs": ("input_ids", "past_key_values.0.key")}, "takes past_key_values.0.key as well"),
        ({"inputs": ("input_ids", "task_id")}, "takes task_id as well"),
        (
            {"inputs": ("input_ids", "decoder_input_ids")},
            "has a decoder, too; export the model's encoder alone",
        ),
        ({"shape": (4, "tokens")}, "takes exactly 4 texts at a time"),
        ({"transposed": (1, 0, 2)}, r"of shape \[3, 2, 4\] for 2 texts of 3 tokens"),
        ({"transposed": (0, 2, 1)}, r"of shape \[2, 4, 3\] for 2 texts of 3 tokens"),
        ({"output": "logits"}, "returns logits of each token"),
        ({"summed": True, "transposed": (1, 0)}, r"of shape \[4, 2\] for 2 texts"),
    ],
)
def test_graphs_that_cannot_answer_texts_are_refused_when_they_are_loaded(
    tmp_path: Path, graph: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelFailure, match=message):
        loaded(tmp_path / "m", **graph)


@pytest.mark.parametrize("output", ["logits", "sentence_embedding"])
def test_a_graph_that_reads_the_last_place_never_reads_padding_there(
    tmp_path: Path, output: str
) -> None:
    """As XLNet's classifiers do, and decoders whose tokenizer pads on the left."""
    files = {"config.json": {"num_labels": WIDTH}}
    model = loaded(tmp_path / "m", files, output=output, last_place=True)
    found = model.run([*IDS, IDS[0], IDS[1]])
    expected = np.stack([TABLE[ids[-1]] for ids in (*IDS, IDS[0], IDS[1])])
    if output == "sentence_embedding":
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["model.onnx_data", "model.onnx.data"])
def test_weights_beside_a_graph_are_read_or_said_to_be_missing(tmp_path: Path, name: str) -> None:
    place = folder(tmp_path / "m")
    whole = TextModel(str(place), threads=1).run(IDS)
    graph = onnx.load(str(place / "model.onnx"))
    onnx.save_model(
        graph,
        str(place / "model.onnx"),
        save_as_external_data=True,
        location=name,
        size_threshold=0,
    )
    np.testing.assert_allclose(TextModel(str(place), threads=1).run(IDS), whole)
    (place / name).write_bytes(b"x")
    with pytest.raises(ModelFailure, match="keeps its weights in another file, which is missing"):
        TextModel(str(place), threads=1)
    (place / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(ModelFailure, match=f"{name} is a pointer of Git LFS"):
        TextModel(str(place), threads=1)
    (place / name).unlink()
    with pytest.raises(ModelFailure, match="keeps its weights in another file, which is missing"):
        TextModel(str(place), threads=1)


def test_a_graph_that_git_lfs_did_not_fetch_is_named(tmp_path: Path) -> None:
    place = folder(tmp_path / "m")
    (place / "model.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(
        ModelFailure, match=r"model\.onnx is a pointer of Git LFS .* `git lfs pull`"
    ):
        TextModel(str(place), threads=1)


def test_a_graph_of_one_text_at_a_time_gets_them_one_by_one(tmp_path: Path) -> None:
    found = loaded(tmp_path / "m", shape=(1, "tokens")).run(IDS)
    np.testing.assert_allclose(found, loaded(tmp_path / "any").run(IDS), atol=1e-6)


def test_a_graph_of_a_fixed_length_is_padded_to_it_and_takes_no_more(tmp_path: Path) -> None:
    model = loaded(tmp_path / "m", shape=("texts", 9))
    assert model.signature.max_tokens == 9
    np.testing.assert_allclose(model.run(IDS), loaded(tmp_path / "any").run(IDS), atol=1e-6)


def test_a_graph_in_the_folder_onnx_belongs_to_the_files_above_it(tmp_path: Path) -> None:
    place = folder(tmp_path / "m", {"1_Pooling/config.json": {"pooling_mode": "cls"}})
    (place / "onnx").mkdir()
    (place / "model.onnx").rename(place / "onnx" / "model_quantized.onnx")
    source = source_of(str(place / "onnx" / "model_quantized.onnx"))
    assert source.kind == "text"
    first = TABLE[2] / np.linalg.norm(TABLE[2])
    np.testing.assert_allclose(TextModel(source.location, 1).run(IDS[:1]), [first], atol=1e-6)


@pytest.mark.parametrize("scale", [3e4, 1e-5])
@pytest.mark.parametrize("mode", ["mean", "mean_sqrt_len_tokens", "weightedmean", "max", "cls"])
def test_half_precision_is_pooled_in_single_precision(
    tmp_path: Path, mode: str, scale: float
) -> None:
    files = {"1_Pooling/config.json": {"pooling_mode": mode}}
    table = (np.abs(TABLE) * scale / np.abs(TABLE).max()).astype(np.float16)
    found = loaded(tmp_path / "half", files, table=table).run(IDS)
    whole = loaded(tmp_path / "single", files, table=table.astype(np.float32)).run(IDS)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found, whole, atol=2e-3)


# ---- graphs that pool by themselves --------------------------------------------------------------

POOLED: dict[str, Any] = {"output": "sentence_embedding", "summed": True}


def test_what_a_graph_pooled_is_normalized_where_the_modules_end_so_or_say_nothing(
    tmp_path: Path,
) -> None:
    sums = np.stack([TABLE[ids].sum(0) for ids in IDS])
    unit = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    for name, files, expected in (
        ("nothing", {}, unit),
        ("normalize", {"modules.json": modules("Pooling", "Normalize")}, unit),
        ("plain", {"modules.json": modules("Pooling")}, sums),
    ):
        model = loaded(tmp_path / name, files, **POOLED)
        found = np.concatenate([model.run([ids]) for ids in IDS])
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_graph_that_pools_and_leaves_modules_out_is_refused(tmp_path: Path) -> None:
    files = {
        "modules.json": modules("Pooling", "Dense"),
        "2_Dense/config.json": {"in_features": WIDTH, "out_features": 2},
    }
    with pytest.raises(ModelFailure, match="makes vectors of 2 numbers, and the graph returns 4"):
        loaded(tmp_path / "m", files, **POOLED)


def test_a_graph_that_counts_the_tokens_of_prompts_is_refused(tmp_path: Path) -> None:
    files = {
        "1_Pooling/config.json": MEAN | {"include_prompt": False},
        "config_sentence_transformers.json": {"prompts": {"query": "a cat "}},
    }
    with pytest.raises(ModelFailure, match="counts the tokens of prompts"):
        loaded(tmp_path / "m", files, **POOLED)


@pytest.mark.parametrize("scale", [6e4, 1e-9])
def test_what_overflows_in_a_graph_is_an_error_and_no_vector(tmp_path: Path, scale: float) -> None:
    table = (np.abs(TABLE) / np.abs(TABLE).max() * scale).astype(np.float16)
    model = loaded(tmp_path / "m", table=table, **POOLED)
    with pytest.raises(ModelFailure, match="half precision is too narrow for this text"):
        model.run(IDS)
    assert loaded(tmp_path / "n", table=TABLE.astype(np.float16), **POOLED).run(IDS).any()
